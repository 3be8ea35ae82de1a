"""A button of a task that leads to its file or folder at the data centre."""

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_cta.hooks.cta import CtaHook
from ctadata_providers import Config, CtaError, uri

_MAGIC = "*?["


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
            parsed = uri.parse(address)
            config = CtaHook.for_address(address, conn_id).config()
        except (CtaError, AirflowNotFoundException):
            return ""
        return url_of(config, _before_magic(parsed))


def url_of(config: Config, address: uri.Address) -> str:
    """Return where a browser finds a file or folder."""
    slash = "/" if address.is_folder and address.path != "/" else ""
    if config.backend == "downloadservice":
        # It decodes twice.
        act = "list" if address.is_folder else "fetch"
        return f"{config.service_url}{act}{quote(quote(address.path))}"
    return config.door_url + quote(config.base_path.rstrip("/") + address.path) + slash


def _before_magic(address: uri.Address) -> uri.Address:
    if not any(mark in address.path for mark in _MAGIC):
        return address
    elements = address.path.split("/")
    first = next(at for at, element in enumerate(elements) if any(mark in element for mark in _MAGIC))
    return uri.Address("/".join(elements[:first]) or "/", is_folder=True)
