"""Operators that move files and folders between the worker and the data centre."""

import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context

from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.links.cta import CtaDoorLink
from ctadata_providers import CtaClient, uri


class _TransferOperator(BaseOperator):
    """What a download and an upload have in common; the arguments are those of `CtaDownloadOperator`."""

    template_fields: Sequence[str] = ("remote_path", "local_path", "cta_conn_id")
    operator_extra_links = (CtaDoorLink(),)

    def __init__(
        self,
        *,
        remote_path: str,
        local_path: str | Path,
        overwrite: bool = True,
        recursive: bool = False,
        cta_conn_id: str = CtaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.remote_path = remote_path
        self.local_path = local_path
        self.overwrite = overwrite
        self.recursive = recursive
        self.cta_conn_id = cta_conn_id
        self._running = False

    def execute(self, context: Context) -> dict[str, Any]:
        """Move the file or folder and return what was moved, as plain JSON.

        Returns:
            `uri` (canonical), `local_path` and `size`; of a file also `checksums`, of a folder the number of `files`.

        Raises:
            CtaError: As the client raised it; nothing partial stands under the name of a target then.
        """
        self._running = True
        try:
            with CtaHook.for_address(self.remote_path, self.cta_conn_id).client() as client:
                result = self._transfer(client, str(self.local_path))
        finally:
            self._running = False
        self.log.info("Moved %s", result)
        return result

    def on_kill(self) -> None:
        """Interrupt the running transfer, which then cleans up and leaves nothing partial.

        Airflow calls this in the handler of SIGTERM, in the thread of `execute`, which would otherwise go on until
        SIGKILL; after a time-out it calls this too, when `execute` has already ended.

        Raises:
            KeyboardInterrupt: When `execute` is running: the one interrupt that no error handling swallows.
        """
        if self._running:
            raise KeyboardInterrupt(f"task {self.task_id} was killed")

    @abstractmethod
    def _transfer(self, client: CtaClient, local_path: str) -> dict[str, Any]:
        """Move the file or folder and return the result of the task."""


class CtaDownloadOperator(_TransferOperator):
    """Download a file, or a folder with all that is below it.

    Args:
        remote_path: The source, a `cta://` address or plain path; `cta://name@...` names the connection. A trailing `/`
            means a folder.
        local_path: The target on the worker; for a file, a trailing `/` means the folder to put it into.
        overwrite: Replace what exists; without it that is an `AlreadyExistsError`.
        recursive: The source is a folder although it has no trailing `/`.
        cta_conn_id: The connection for an address that names none.
        **kwargs: What every operator takes.
    """

    def _transfer(self, client: CtaClient, local_path: str) -> dict[str, Any]:
        source = uri.parse(self.remote_path)
        if self.recursive or source.is_folder:
            tree = client.download_tree(self.remote_path, local_path, overwrite=self.overwrite)
            return _result(source.path, local_path, folder=True, files=tree.files, size=tree.size)
        target = _inside(local_path, source.path)
        done = client.download(self.remote_path, target, overwrite=self.overwrite)
        return _result(done.path, target, size=done.size, checksums=dict(done.checksums))


class CtaUploadOperator(_TransferOperator):
    """Upload a file, or a folder with all that is below it; missing parent folders are made.

    Args:
        remote_path: The target, a `cta://` address or plain path; `cta://name@...` names the connection. For a file, a
            trailing `/` means the folder to put it into.
        local_path: The source on the worker; a trailing `/` means a folder.
        overwrite: Replace what exists; without it that is an `AlreadyExistsError`.
        recursive: The source is a folder although it has no trailing `/`.
        cta_conn_id: The connection for an address that names none.
        **kwargs: What every operator takes.
    """

    def _transfer(self, client: CtaClient, local_path: str) -> dict[str, Any]:
        if self.recursive or local_path.endswith("/"):
            tree = client.upload_tree(local_path, self.remote_path, overwrite=self.overwrite)
            path = uri.parse(self.remote_path).path
            return _result(path, local_path, folder=True, files=tree.files, size=tree.size)
        target = _inside(self.remote_path, local_path)
        done = client.upload(local_path, target, overwrite=self.overwrite)
        return _result(done.path, local_path, size=done.size, checksums=dict(done.checksums))


def _inside(target: str, source: str) -> str:
    """Return the target, with the name of the source behind it where it ends in `/`."""
    return target + os.path.basename(source) if target.endswith("/") else target  # noqa: PTH119 (a remote path too)


def _result(path: str, local_path: str, *, folder: bool = False, **figures: Any) -> dict[str, Any]:
    return {"uri": uri.format_uri(path, folder=folder), "local_path": local_path, **figures}
