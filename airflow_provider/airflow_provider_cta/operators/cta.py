"""Operators that move files and folders between the worker and the data centre."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from airflow_provider_cta.operators.base import (
    CtaOperator,
    OnMissing,
    Result,
    as_list,
    as_one,
    as_texts,
    check_on_missing,
    inside,
    skip_if,
)
from airflow_provider_cta.operators.copy import CtaCopyOperator
from airflow_provider_cta.operators.pairs import as_asked, look_for, paired
from airflow_provider_cta.operators.storage import CtaListOperator, CtaRemoveOperator
from airflow_provider_cta.operators.sync import CtaSyncOperator
from ctadata_providers import ConfigError, CtaClient, NotFoundError, TransferResult, uri
from ctadata_providers.patterns import has_magic

__all__ = [
    "CtaCopyOperator",
    "CtaDownloadOperator",
    "CtaListOperator",
    "CtaRemoveOperator",
    "CtaSyncOperator",
    "CtaUploadOperator",
]


class _TransferOperator(CtaOperator):
    """What a download and an upload have in common; the arguments are those of `CtaDownloadOperator`."""

    template_fields: Sequence[str] = ("remote_path", "local_path", "cta_conn_id")

    def __init__(
        self,
        *,
        remote_path: str | Sequence[str],
        local_path: str | Path | Sequence[str | Path],
        overwrite: bool = True,
        recursive: bool = False,
        on_missing: OnMissing = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.remote_path = remote_path
        self.local_path = as_texts(local_path)
        self.overwrite = overwrite
        self.recursive = recursive
        self.on_missing = on_missing


class CtaDownloadOperator(_TransferOperator):
    """Download a file, files, or a folder with all that is below it.

    The result tells `uri` (canonical), `local_path` and `size`; of a file also `checksums`, of a folder the number of
    `files`. Of a list or a pattern it is a list; what looks like a pattern and is the name of a file is none. A task
    that is tried again goes on with the bytes that its last try has left beside the target, also on another worker that
    sees the same disk.

    Args:
        remote_path: The source, a `cta://` address or plain path; `cta://name@...` names the connection. A trailing `/`
            means a folder. Several files are a list, or a pattern.
        local_path: The target on the worker; for files, a trailing `/` means the folder to put them into. For a list
            also a list of as many targets.
        overwrite: Replace what exists; without it that is an `AlreadyExistsError`.
        recursive: The source is a folder although it has no trailing `/`.
        on_missing: `fail`, or `skip`: leave out what is not there, and skip the task when nothing is.
        cta_conn_id: The connection for an address that names none.
        checksum: `auto`, `require` or `off`; default what the connection says.
        **kwargs: What every operator takes.
    """

    def _work(self, context: Context) -> Result | list[Result]:
        check_on_missing(self.on_missing)
        if isinstance(self.remote_path, str) and not has_magic(self.remote_path):
            with self._client(self._conn_id(self.remote_path)) as client:
                self._go_on(context, client)
                result = self._one(client, self.remote_path, as_one(self.local_path, "local_path"))
                self._tell(context, client.config, read=[result["uri"]])
            self.log.info("Downloaded %s", result)
            return result
        results = self._many(context, as_list(self.remote_path, "remote_path"))
        self.log.info("Downloaded %d files, %d bytes", len(results), sum(result["size"] for result in results))
        return as_asked(self.remote_path, results)

    def _one(self, client: CtaClient, remote_path: str, local_path: str) -> Result:
        source = uri.parse(remote_path)
        try:
            if self.recursive or source.is_folder:
                tree = client.download_tree(remote_path, local_path, overwrite=self.overwrite)
                return _result(source.path, local_path, folder=True, files=tree.files, size=tree.size)
            done = client.download(remote_path, inside(local_path, source.path), overwrite=self.overwrite)
        except NotFoundError as error:
            skip_if(error.path == source.path, self.on_missing, f"{remote_path} is not there")
            raise
        return _of(done)

    def _many(self, context: Context, remote_paths: list[str]) -> list[Result]:
        with self._client(self._one_conn_id(remote_paths)) as client:
            self._go_on(context, client)
            found = look_for(client, remote_paths, self.on_missing)
            pairs = [(info, Path(to)) for info, to in paired(remote_paths, found, self.local_path, "local_path", Path)]
            done: dict[Path, Result] = {}
            for (_, local), outcome in client.download_many(pairs, overwrite=self.overwrite):
                done[local] = _of(outcome.result())  # the first error ends it; those under way are stopped
            results = [done[local] for _, local in pairs]
            self._tell(context, client.config, read=[result["uri"] for result in results])
        return results


class CtaUploadOperator(_TransferOperator):
    """Upload a file, files, or a folder with all that is below it; missing parent folders are made.

    The result is as that of `CtaDownloadOperator`; size and checksums also go into the event of the asset in `outlets`
    that the target is.

    Args:
        remote_path: The target, a `cta://` address or plain path; `cta://name@...` names the connection. For files, a
            trailing `/` means the folder to put them into. For a list also a list of as many targets.
        local_path: The source on the worker; a trailing `/` means a folder. Several files are a list.
        overwrite: Replace what exists; without it that is an `AlreadyExistsError`.
        recursive: The source is a folder although it has no trailing `/`.
        on_missing: `fail`, or `skip`: leave out what is not there, and skip the task when nothing is.
        cta_conn_id: The connection for an address that names none.
        checksum: `auto`, `require` or `off`; default what the connection says.
        **kwargs: What every operator takes.
    """

    def _work(self, context: Context) -> Result | list[Result]:
        check_on_missing(self.on_missing)
        if isinstance(self.local_path, (str, Path)):
            result = self._one(context, as_one(self.remote_path, "remote_path"), str(self.local_path))
            self.log.info("Uploaded %s", result)
            return result
        results = self._many(context, as_list(self.local_path, "local_path"))
        self.log.info("Uploaded %d files, %d bytes", len(results), sum(result["size"] for result in results))
        return results

    def _one(self, context: Context, remote_path: str, local_path: str) -> Result:
        skip_if(not Path(local_path).exists(), self.on_missing, f"{local_path} is not there")
        with self._client(self._conn_id(remote_path)) as client:
            if self.recursive or local_path.endswith("/"):
                tree = client.upload_tree(local_path, remote_path, overwrite=self.overwrite)
                path = uri.parse(remote_path).path
                result = _result(path, local_path, folder=True, files=tree.files, size=tree.size)
            else:
                result = _of(client.upload(local_path, inside(remote_path, local_path), overwrite=self.overwrite))
            self._tell(context, client.config, wrote=[result])
        return result

    def _many(self, context: Context, local_paths: list[str]) -> list[Result]:
        targets = as_list(self.remote_path, "remote_path")
        if isinstance(self.remote_path, str):
            if not self.remote_path.endswith("/") and len(local_paths) > 1:
                raise ConfigError(f"{self.remote_path} cannot take several files", remedy="end it with '/': a folder")
            targets *= len(local_paths)
        if len(targets) != len(local_paths):
            raise ConfigError(f"{len(local_paths)} sources and {len(targets)} targets", remedy="give one for each")
        pairs = [(Path(local), inside(to, local)) for local, to in zip(local_paths, targets, strict=True)]
        if self.on_missing == "skip":
            pairs = [pair for pair in pairs if pair[0].exists()]
        skip_if(not pairs, self.on_missing, "nothing of that is there")
        if len({uri.parse(to).path for _, to in pairs}) < len(pairs):
            raise ConfigError("two files would have the same name there", remedy="give other targets")
        with self._client(self._one_conn_id(to for _, to in pairs)) as client:
            done = {
                pair: _of(outcome.result()) for pair, outcome in client.upload_many(pairs, overwrite=self.overwrite)
            }
            results = [done[pair] for pair in pairs]
            self._tell(context, client.config, wrote=results)
        return results


def _of(done: TransferResult) -> Result:
    return _result(done.path, str(done.local), size=done.size, checksums=dict(done.checksums))


def _result(path: str, local_path: str, *, folder: bool = False, **figures: Any) -> Result:
    return {"uri": uri.format_uri(path, folder=folder), "local_path": local_path, **figures}
