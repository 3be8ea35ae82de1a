"""A button of a task that leads to its file or folder at the data centre."""

from typing import Any

from airflow.sdk import BaseOperatorLink
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_cta.hooks.cta import CtaHook
from ctadata_providers import CtaError, uri
from ctadata_providers.patterns import has_magic


class CtaDoorLink(BaseOperatorLink):
    """Lead to the file or folder of a task at the door of its connection, where a browser shows or downloads it.

    The browser brings its own credential; none is in the link. Of a pattern it is the folder before its first element
    that is none.
    """

    name = "At the door"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the URL, empty where the address or the connection cannot be used: the task has told of that."""
        address: Any
        address, conn_id = getattr(operator, "at_the_door", None) or (operator.path, operator.cta_conn_id)
        if not isinstance(address, str):
            address = next(iter(address), "")  # of several the first
        try:
            with CtaHook.for_address(address, conn_id).client() as client:
                return client.browser_url(_before_magic(uri.parse(address)).uri)
        except (CtaError, AirflowNotFoundException):
            return ""


def _before_magic(address: uri.Address) -> uri.Address:
    if not has_magic(address.path):
        return address
    elements = address.path.split("/")
    first = next(at for at, element in enumerate(elements) if has_magic(element))
    return uri.Address("/".join(elements[:first]) or "/", is_folder=True)
