"""From the data centre to any storage that `ObjectStoragePath` knows."""

import threading

from airflow.sdk import Context

from airflow_provider_cta.operators.base import Result, as_list, check_on_missing, skip_if
from airflow_provider_cta.operators.pairs import as_asked, look_for, paired
from airflow_provider_cta.progress import Progress
from airflow_provider_cta.transfers.base import StreamOperator
from airflow_provider_cta.transfers.places import Place
from airflow_provider_cta.transfers.streams import to_storage
from ctadata_providers import ConfigError, CtaClient, FileInfo, NotFoundError, uri


class CtaToObjectStorageOperator(StreamOperator):
    """Give files of the data centre to another storage (S3, GCS, Azure, SFTP, a local disk, ...) as streams.

    The bytes pass through the memory of the worker, some blocks at a time, and not through its disk. Size and checksum
    are compared with what the data centre says before the file appears at the other storage, where that can hold it
    back (object stores and local disks can); what fails is discarded there.

    The result tells `uri` (canonical, of the source), `storage_path` (of the target) and `size`; of a file also
    `checksums`, of a folder the number of `files`. Of a list or a pattern it is a list.

    Args:
        remote_path: The source, a `cta://` address or plain path; `cta://name@...` names the connection. A trailing `/`
            means a folder with all that is below it. Several files are a list, or a pattern.
        storage_path: The target, as `s3://bucket/key` or an `ObjectStoragePath`; for files, a trailing `/` means the
            folder to put them into. For a list also a list of as many targets.
        storage_conn_id: The connection of the other storage, where its path names none.
        overwrite: Replace what exists; without it that is an `AlreadyExistsError`.
        recursive: The source is a folder although it has no trailing `/`.
        on_missing: `fail`, or `skip`: leave out what is not there, and skip the task when nothing is.
        cta_conn_id: The connection for an address that names none.
        checksum: `auto`, `require` or `off`; default what the connection says.
        **kwargs: What every operator takes.
    """

    def _work(self, context: Context) -> Result | list[Result]:
        check_on_missing(self.on_missing)
        paths = as_list(self.remote_path, "remote_path")
        with self._client(self._one_conn_id(paths)) as client:
            pairs = [(info, self._place(target)) for info, target in self._pairs(client, paths)]
            progress = Progress(sum(info.size or 0 for info, _ in pairs), self.log)

            def send(pair: tuple[FileInfo, Place], stop: threading.Event) -> Result:
                return to_storage(client, *pair, overwrite=self.overwrite, progress=progress, stop=stop)

            results = self._each(send, pairs)
            self._tell(context, client.config, read=[result["uri"] for result in results])
        self._tell_storage(context, results, wrote=True)
        source, target = self.remote_path, self._storage_paths
        there = self._place(target).uri if isinstance(target, str) else ""
        top = uri.format_uri(uri.parse(source).path, folder=True) if isinstance(source, str) else ""
        done = results if self._is_folder(source) else as_asked(source, results)
        return self._result(source, target, results, done, uri=top, storage_path=there)

    def _pairs(self, client: CtaClient, paths: list[str]) -> list[tuple[FileInfo, str]]:
        """Return each file with its target.

        Raises:
            ConfigError: When the targets do not fit, or two files would have the same.
            NotFoundError: When a file or folder is missing, with `on_missing="fail"`.
        """
        targets = self._storage_paths
        if not self._is_folder(self.remote_path):
            return paired(paths, look_for(client, paths, self.on_missing), targets, "storage_path")
        if not isinstance(targets, str):
            raise ConfigError(f"one source and {len(targets)} targets", remedy="give one folder")
        top = uri.parse(paths[0]).path
        below = targets.rstrip("/")
        try:
            files = [info for info in client.walk(paths[0]) if not info.is_dir]
        except NotFoundError as error:
            skip_if(error.path == top, self.on_missing, f"{paths[0]} is not there")
            raise
        return [(info, below + info.path.removeprefix(top.rstrip("/"))) for info in files]
