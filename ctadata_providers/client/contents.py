"""What the client reads into memory, and writes from there."""

from collections.abc import Generator, Iterable
from typing import BinaryIO

from ctadata_providers import transfer
from ctadata_providers.client.connection import Connection
from ctadata_providers.errors import ConfigError
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import run, spawn
from ctadata_providers.transfer import Part, Progress, TransferResult, Version


class Contents(Connection):
    """A storage whose files, or parts of them, are read and written without local files."""

    def read(
        self,
        path: str,
        *,
        start: int = 0,
        end: int | None = None,
        if_match: str | None = None,
        version: Version | None = None,
    ) -> bytes:
        """Return the bytes of a file from `start` up to but without `end`; what is beyond its end is not there.

        The bytes of a part cannot be compared with a checksum; a whole file is, where the server sends one with it.

        Args:
            path: The file.
            start: The first byte.
            end: The byte behind the last one; None is the end of the file.
            if_match: The entity tag that the file must have, as `stat` told it.
            version: What several readings share (`transfer.Version`): all are of the version that the first finds.

        Raises:
            NotFoundError: When there is no such file.
            IsADirError: When it is a folder.
            IntegrityError: When the file has another entity tag, or another checksum than the server says.
        """
        return run(transfer.read_part(self._transfers, _part(self._path(path), start, end, if_match, version)))

    def read_ranges(
        self,
        ranges: Iterable[tuple[str, int, int | None]],
        *,
        max_gap: int | None = None,
        if_match: str | None = None,
        version: Version | None = None,
    ) -> list[Future[bytes]]:
        """Return the outcomes of reading parts of files, in their order, when all have ended; several at once.

        The error of a part is in its future; the others go on. Parts of a file that touch, or nearly do, are read as
        one; others come several with one request, where the server does that. Parts of one file are of one version, as
        far as the server tells: when it is replaced meanwhile, they are read anew, and a second time is an error.

        Args:
            ranges: A file, the first byte and the one behind the last (None for the end of the file) each.
            max_gap: Bytes between two parts that are read, too, rather than asked around; None is what mostly helps; -1
                reads each part by itself.
            if_match: The entity tag that they all must have, for parts of one file.
            version: As for `read`, for parts of one file.
        """
        parts = [_part(self._path(path), start, end, if_match, version) for path, start, end in ranges]
        return transfer.read_parts(self._transfers, parts, max_gap=transfer.MAX_GAP if max_gap is None else max_gap)

    def write(
        self, path: str, content: bytes | BinaryIO, *, overwrite: bool = True, progress: Progress | None = None
    ) -> TransferResult:
        """Store bytes, or all of an open file, under a name, as `upload` does; missing folders are made.

        Args:
            path: The target file.
            content: What is stored; a stream that cannot be sought in is spooled to disk first.
            overwrite: Whether an existing file may be replaced.
            progress: As for `upload`.

        Raises:
            IsADirError: When the target is a folder.
            AlreadyExistsError: When it exists and may not be overwritten.
            IntegrityError: When what is stored is not what was sent.
            QuotaError: When the storage is full, or the disk through which a stream passes.
        """
        return run(self._written(path, content, overwrite, progress))

    def write_many(
        self, contents: Iterable[tuple[str, bytes]], *, overwrite: bool = True
    ) -> Generator[tuple[str, Future[TransferResult]], None, None]:
        """Store bytes under several names, several at once, and give each path with its outcome as it ends.

        The error of a file is in its future; the others go on. Closing the generator stops those that still run.

        Args:
            contents: The target file and the bytes of each.
            overwrite: Whether existing files may be replaced.
        """
        context = self._transfers
        tasks = ((path, self._written(path, content, overwrite, None)) for path, content in contents)
        return transfer.as_ended(tasks, context.max_parallel)

    def begin_write(
        self, path: str, content: bytes | BinaryIO, *, overwrite: bool = True, progress: Progress | None = None
    ) -> Future[TransferResult]:
        """Begin what `write` does, and return a future as `begin_upload` does; the arguments are the same.

        A stream that cannot be sought in is spooled to disk before this returns.
        """
        return spawn(self._written(path, content, overwrite, progress))

    async def _written(
        self, path: str, content: bytes | BinaryIO, overwrite: bool, progress: Progress | None
    ) -> TransferResult:
        checked = self._file(path, "write to")
        return await transfer.upload_held(self._transfers, content, checked, overwrite=overwrite, progress=progress)


def _part(path: str, start: int, end: int | None, if_match: str | None, version: Version | None) -> Part:
    if start < 0 or (end is not None and end < 0):
        raise ConfigError(f"not a part of a file: {start} to {end}", path=path, remedy="count from its first byte")
    if if_match is not None and not if_match.endswith('"'):
        if_match = f'"{if_match}"'  # as WsgiDAV lists it
    return Part(path, start, end, if_match, version)
