"""From the data centre to any storage that `ObjectStoragePath` knows."""

import threading

from airflow.sdk import Context

from airflow_provider_cta.operators.base import Result, as_list, check_on_missing
from airflow_provider_cta.operators.pairs import look_for, paired
from airflow_provider_cta.progress import Progress
from airflow_provider_cta.transfers.base import StreamOperator
from airflow_provider_cta.transfers.places import Place
from airflow_provider_cta.transfers.streams import to_storage
from airflow_provider_cta.wanted import is_pattern
from ctadata_providers import FileInfo


class CtaToObjectStorageOperator(StreamOperator):
    """Give files of the data centre to another storage (S3, GCS, Azure, SFTP, a local disk, ...) as streams.

    The bytes pass through the memory of the worker, some blocks at a time, and not through its disk. Size and checksum
    are compared with what the data centre says before the file appears at the other storage, where that can hold it
    back (object stores and local disks can); what fails is discarded there.

    The result tells `uri` (canonical, of the source), `storage_path` (of the target), `size` and `checksums`; of a list
    or a pattern it is a list.

    Args:
        remote_path: The source, a `cta://` address or plain path; `cta://name@...` names the connection. Several files
            are a list, or a pattern.
        storage_path: The target, as `s3://bucket/key` or an `ObjectStoragePath`; a trailing `/` means the folder to put
            files into. For a list also a list of as many targets.
        storage_conn_id: The connection of the other storage, where its path names none.
        overwrite: Replace what exists; without it that is an `AlreadyExistsError`.
        on_missing: `fail`, or `skip`: leave out what is not there, and skip the task when nothing is.
        cta_conn_id: The connection for an address that names none.
        checksum: `auto`, `require` or `off`; default what the connection says.
        **kwargs: What every operator takes.
    """

    def _work(self, context: Context) -> Result | list[Result]:
        check_on_missing(self.on_missing)
        paths = as_list(self.remote_path, "remote_path")
        with self._client(self._one_conn_id(paths)) as client:
            found = look_for(client, paths, self.on_missing)
            pairs = [(info, self._place(to)) for info, to in paired(paths, found, self._storage_paths, "storage_path")]
            progress = Progress(sum(info.size or 0 for info, _ in pairs), self.log)

            def send(pair: tuple[FileInfo, Place], stop: threading.Event) -> Result:
                return to_storage(client, *pair, overwrite=self.overwrite, progress=progress, stop=stop)

            results = self._each(send, pairs)
            self._tell(context, client.config, read=[result["uri"] for result in results])
        self._tell_storage(context, results, wrote=True)
        self.log.info("Gave away %d files, %d bytes", len(results), sum(result["size"] for result in results))
        one = isinstance(self.remote_path, str) and not is_pattern(self.remote_path)
        return results[0] if one else results
