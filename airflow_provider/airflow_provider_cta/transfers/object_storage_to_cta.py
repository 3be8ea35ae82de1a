"""From any storage that `ObjectStoragePath` knows to the data centre."""

import threading
from collections.abc import Sequence

from airflow.sdk import Context

from airflow_provider_cta.operators.base import Result, as_list, check_on_missing, inside, skip_if
from airflow_provider_cta.progress import Progress
from airflow_provider_cta.transfers.base import StreamOperator
from airflow_provider_cta.transfers.places import Place
from airflow_provider_cta.transfers.streams import from_storage
from ctadata_providers import ConfigError, NotFoundError, uri
from ctadata_providers.patterns import has_magic


class ObjectStorageToCtaOperator(StreamOperator):
    """Give files of another storage (S3, GCS, Azure, SFTP, a local disk, ...) to the data centre as streams.

    The bytes pass through the memory of the worker, some blocks at a time, and not through its disk (but for a storage
    that does not tell the size of a file). At the data centre a file is whole or absent; its size and checksum are
    compared with what was read. A source that changes meanwhile is an `IntegrityError`. Missing folders are made.

    The result tells `uri` (canonical, of the target), `storage_path` (of the source) and `size`; of a file also
    `checksums`, of a folder the number of `files`. Of a list or a pattern it is a list. Size and checksums also go into
    the event of the asset in `outlets` that the target is.

    Args:
        remote_path: The target, a `cta://` address or plain path; `cta://name@...` names the connection. For files, a
            trailing `/` means the folder to put them into. For a list also a list of as many targets.
        storage_path: The source, as `s3://bucket/key` or an `ObjectStoragePath`. A trailing `/` means a folder with all
            that is below it. Several files are a list, or a pattern.
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
        pairs = self._pairs()
        with self._client(self._one_conn_id(as_list(self.remote_path, "remote_path"))) as client:
            progress = Progress(None, self.log)

            def send(pair: tuple[Place, str], stop: threading.Event) -> Result:
                return from_storage(client, *pair, overwrite=self.overwrite, progress=progress, stop=stop)

            results = self._each(send, pairs)
            source, target = self._storage_paths, self.remote_path
            there = self._place(source).uri if isinstance(source, str) else ""
            folder = uri.format_uri(uri.parse(str(target)).path, folder=True) if isinstance(target, str) else ""
            named = isinstance(source, str) and [result["storage_path"] for result in results] == [there]
            done = results[0] if named else results
            result = self._result(source, target, results, done, uri=folder, storage_path=there)
            self._tell(context, client.config, wrote=[result] if isinstance(result, dict) else result)
        self._tell_storage(context, results, wrote=False)
        return result

    def _pairs(self) -> list[tuple[Place, str]]:
        """Return each file with its target.

        Raises:
            ConfigError: When the targets do not fit, or two files would have the same.
            NotFoundError: When a file is missing, with `on_missing="fail"`.
        """
        given, targets = self._storage_paths, as_list(self.remote_path, "remote_path")
        if isinstance(given, str) and self._is_folder(given):
            return self._pairs_of_tree(self._place(given), targets)
        paths = [given] if isinstance(given, str) else given
        several = len(paths) > 1 or any(map(has_magic, paths))
        if isinstance(self.remote_path, str):
            if several and not targets[0].endswith("/"):
                raise ConfigError(f"{targets[0]} cannot take several files", remedy="end it with '/': a folder")
            targets *= len(paths)
        elif len(targets) != len(paths) or any(map(has_magic, paths)):
            raise ConfigError(f"{len(paths)} sources and {len(targets)} targets", remedy="give one for each")
        found = [(self._files(path), target) for path, target in zip(paths, targets, strict=True)]
        pairs = [(place, inside(target, place.path)) for places, target in found for place in places]
        skip_if(not pairs, self.on_missing, "nothing of that is there")
        _refuse_twice(pairs)
        return pairs

    def _pairs_of_tree(self, top: Place, targets: list[str]) -> list[tuple[Place, str]]:
        if not isinstance(self.remote_path, str):
            raise ConfigError(f"one source and {len(targets)} targets", remedy="give one folder")
        files = top.below()
        skip_if(not files, self.on_missing, f"{top.uri} is not there")
        if not files:
            raise NotFoundError(f"there is nothing below {top.uri}", path=top.uri)
        below = uri.parse(targets[0]).path.rstrip("/")
        return [(place, below + place.path.removeprefix(top.path.rstrip("/"))) for place in files]

    def _files(self, path: str) -> Sequence[Place]:
        place = self._place(path)
        asked = has_magic(path) or self.on_missing == "skip"
        if not asked or place.look() is not None:
            return [place]
        places = place.matches() if has_magic(path) else []
        if not places and self.on_missing == "fail":
            raise NotFoundError(f"nothing matches {place.uri}", path=place.uri)
        return places


def _refuse_twice(pairs: Sequence[tuple[Place, str]]) -> None:
    """Refuse two files with one target.

    Raises:
        ConfigError: Then.
    """
    taken: dict[str, Place] = {}
    for place, target in pairs:
        path = uri.parse(target).path
        if path in taken:
            raise ConfigError(f"{taken[path].uri} and {place.uri} would both be {target}", remedy="give other targets")
        taken[path] = place
