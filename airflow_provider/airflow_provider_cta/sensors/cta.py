"""A sensor that waits until something is there."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue

from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.links.cta import CtaDoorLink
from ctadata_providers import CtaClient, NotFoundError, uri


class CtaPathSensor(BaseSensorOperator):
    """Wait for a file, a folder, or the first match of a pattern.

    Each look reads the connection anew, so that a wait of days survives a change of its token.

    Args:
        path: A `cta://` address or plain path; `cta://name@...` names the connection. With `*`, `?` or `[...]` it is a
            pattern (`**` for any depth), with a trailing `/` a folder.
        cta_conn_id: The connection for an address that names none.
        **kwargs: What every sensor takes, e.g. `mode="reschedule"`, `poke_interval`, `timeout`.
    """

    template_fields: Sequence[str] = ("path", "cta_conn_id")
    operator_extra_links = (CtaDoorLink(),)

    def __init__(self, *, path: str, cta_conn_id: str = CtaHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.cta_conn_id = cta_conn_id

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once.

        Returns:
            Done when something is there, with the list of canonical addresses as the result of the task.

        Raises:
            NotADirError: When the address means a folder and a file is there.
            CtaError: As the client raised it; something that is not there yet is no error.
        """
        with CtaHook.for_address(self.path, self.cta_conn_id).client() as client:
            found = _matches(client, self.path)
        self.log.info("%s: %d found", self.path, len(found))
        return PokeReturnValue(is_done=bool(found), xcom_value=found)


def _matches(client: CtaClient, path: str) -> list[str]:
    """Return the canonical addresses of what is there."""
    only_folders = uri.parse(path).is_folder
    try:
        if any(mark in path for mark in "*?["):
            return [info.uri for info in client.glob(path) if info.is_dir or not only_folders]
        return [client.stat(path).uri]
    except NotFoundError:
        return []
