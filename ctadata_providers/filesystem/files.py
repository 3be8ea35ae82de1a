"""Open files: read by ranges through fsspec's caches, written to a spool and stored when they are whole."""

import io
import logging
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from fsspec.spec import AbstractBufferedFile

from ctadata_providers.backends import FileInfo, Version
from ctadata_providers.errors import AlreadyExistsError, IntegrityError, IsADirError, NotFoundError, StorageError
from ctadata_providers.filesystem.blocks import GrowingBlockCache
from ctadata_providers.filesystem.entries import NotOfferedError, size_to_read

if TYPE_CHECKING:
    from ctadata_providers.filesystem.system import CtaFileSystem

logger = logging.getLogger(__name__)

BLOCK_SIZE = 128 * 1024
"""Bytes that a look into a file brings: about what a good line carries in the time of a round trip."""
CACHE_TYPE = GrowingBlockCache.name
LARGE_BYTES = 16 * 1024 * 1024
"""Bytes from which what is read at once comes by several connections."""
_COPIED = 1024 * 1024
_PIECE = 8 * 1024 * 1024
_IN_MEMORY = 8 * 1024 * 1024
"""Bytes up to which what is written is held in memory."""
_MODES = frozenset({"rb", "wb", "ab", "xb"})
_FRAMES = 20


class CtaFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """A file of a `CtaFileSystem` in binary mode.

    What is written appears under its name when the file is closed, or when the transaction ends in which it was opened.
    A `with` statement that an exception leaves stores nothing, nor does a file that is never closed.
    """

    DEFAULT_BLOCK_SIZE = BLOCK_SIZE
    fs: "CtaFileSystem"

    def __init__(
        self,
        fs: "CtaFileSystem",
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_type: str = CACHE_TYPE,
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        etag: str | None = None,
        checksums: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self._spool: BinaryIO | None = None
        self._stored_before: FileInfo | None = None
        self._opened_in = sys.exc_info()[1]
        self._begins = mode == "xb"
        self.discarded = True  # until it is known that it can be written
        self._etag, self._checksums = etag, checksums or {}
        if mode not in _MODES:
            raise NotOfferedError(
                f"cannot open {path} with mode {mode!r}", path=path, remedy=f"use one of {', '.join(sorted(_MODES))}"
            )
        if mode == "rb" and size is None:
            self._look(fs, path)
        super().__init__(
            fs,
            path,
            mode,
            block_size if mode == "rb" else _COPIED,
            autocommit,
            cache_type=cache_type,
            cache_options=cache_options,
            size=size if mode == "rb" else None,
            **kwargs,
        )
        if mode == "rb":
            self._version = Version(path, size=self.size, checksums=self._checksums)
            # What is pickled goes on with the same file.
            self.kwargs: dict[str, Any] = {**kwargs, "etag": self._etag, "checksums": self._checksums}
        if mode == "xb" and fs.exists(path):
            raise AlreadyExistsError(
                f"cannot create {path}: it exists", path=path, remedy="open it with mode 'w' to replace it"
            )
        if mode == "ab":
            self._begin_with_what_is_there()
        self.discarded = False

    def _look(self, fs: "CtaFileSystem", path: str) -> None:
        """Learn of the file what reading needs."""
        details = fs.info(path)
        size_to_read(details)
        self._details, self._etag, self._checksums = details, details["ETag"], details["checksums"]

    # Reading.

    def _fetch_range(self, start: int, end: int) -> bytes:
        """Return a range of the file, by several connections when it is large.

        Raises:
            IntegrityError: When the file is no longer the one that was opened.
        """
        client = self.fs.client
        if end - start < LARGE_BYTES:
            content = client.read(self.path, start=start, end=end, if_match=self._etag, version=self._version)
        else:
            ranges = [(self.path, at, min(at + _PIECE, end)) for at in range(start, end, _PIECE)]
            outcomes = client.read_ranges(ranges, max_gap=-1, if_match=self._etag, version=self._version)
            content = b"".join([outcome.result() for outcome in outcomes])
        if len(content) < min(end, self.size) - start:
            # Without an entity tag that is all that tells, and what is kept of the file would be put behind a gap.
            raise IntegrityError(
                f"{self.path} has changed: it ends before its {self.size} bytes", path=self.path, remedy="open it again"
            )
        return content

    # Writing.

    def _initiate_upload(self) -> None:
        self._spool_file()

    def _spool_file(self) -> BinaryIO:
        spool = self._spool
        if spool is None:
            # It is closed by commit or discard.
            spool = self._spool = cast("BinaryIO", tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115
        return spool

    def _upload_chunk(self, final: bool = False) -> bool:
        """Write what is buffered to the spool; store it when that is all."""
        self._spool_file().write(self.buffer.getbuffer())
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self) -> None:
        """Store what was written under its name.

        Raises:
            StorageError: When it was not closed: it may not be whole.
            IntegrityError: When what was appended to has changed meanwhile.
        """
        if self.discarded:
            return
        self.check_whole()
        if self._stored_before is not None:
            self.check_target()
        spool, self._spool = self._spool_file(), None
        with spool, self.fs.changing(self.path):
            self.fs.client.write(self.path, spool, overwrite=not self._begins)

    def check_whole(self) -> None:
        """Make sure that it was closed.

        Raises:
            StorageError: When a transaction ends before: it may not be whole.
        """
        if not self.forced:
            raise StorageError(
                f"{self.path} is still open at the end of the transaction: nothing is stored",
                path=self.path,
                remedy="close it before",
            )

    def check_target(self) -> None:
        """Make sure that it can be stored under its name, as far as one look tells.

        Raises:
            IsADirError: When that is a folder.
            AlreadyExistsError: When it is to be new, and is not.
            IntegrityError: When what was appended to has changed meanwhile.
        """
        try:
            there = self.fs.client.stat(self.path)
        except NotFoundError:
            there = None
        if self._stored_before is not None and there != self._stored_before:
            raise IntegrityError(
                f"{self.path} has changed while it was appended to", path=self.path, remedy="append to it again"
            )
        if there is not None and there.is_dir:
            raise IsADirError(f"{self.path} is a folder", path=self.path, remedy="give the name of a file in it")
        if there is not None and self._begins:
            raise AlreadyExistsError(f"{self.path} exists", path=self.path, remedy="replace it with mode 'w'")

    def discard(self) -> None:
        """Forget what was written."""
        self.discarded = True
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def close(self) -> None:
        """Close it, and store what was written, unless an exception is leaving the `with` statement around it."""
        if not self.closed and self.mode != "rb" and (self.discarded or _is_left_by_error(self._opened_in)):
            self._abandon()
            return
        super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not self.closed and self.mode != "rb":
            self._abandon()
        else:
            self.close()

    def __del__(self) -> None:
        # Storing it here would be at any time in any thread, and what was not closed may not be whole.
        if getattr(self, "mode", "rb") != "rb" and not self.closed:
            if not self.discarded:
                logger.warning("%s was not closed: nothing of it is stored", self.path)
            self._abandon()

    def _abandon(self) -> None:
        logger.info("%s is not stored: it was not written to its end", self.path)
        self.discard()
        self.closed = True

    def _begin_with_what_is_there(self) -> None:
        """Let what is appended follow what is stored: a stored file cannot grow."""
        if not self.fs.exists(self.path):
            self._begins = True
            return
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / "stored"
            self._stored_before = self.fs.client.stat(self.path)
            self.fs.client.download(self.path, local)
            with local.open("rb") as stored:
                while block := stored.read(_COPIED):
                    self.loc += self._spool_file().write(block)
        self.offset = self.loc


class TextFile(io.TextIOWrapper):
    """A text layer over a file that is written; with an exception nothing is stored.

    Args:
        file: Where it writes to.
        **options: `encoding`, `errors`, `newline`.
    """

    def __init__(self, file: "CtaFile | CompressedFile", **options: Any) -> None:
        super().__init__(cast("BinaryIO", file), **options)
        self._file = file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._file.__exit__(kind, error, trace)
        self.close()

    def close(self) -> None:
        """Close it and what is below."""
        if not self._file.closed:
            super().close()

    def __del__(self) -> None:
        self._file.__del__()


class CompressedFile(io.BufferedIOBase):
    """A file that is compressed as it is written; with an exception nothing is stored.

    Args:
        layer: What compresses.
        file: Where it writes to; it does not close that itself.
    """

    def __init__(self, layer: BinaryIO, file: CtaFile) -> None:
        self._layer, self._file = layer, file

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def write(self, data: Any, /) -> int:
        """Compress the next bytes."""
        return self._layer.write(data)

    def close(self) -> None:
        """Write what is left, and close what is below."""
        if not self._file.closed and not self.closed:
            self._layer.close()
            self._file.close()
        super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._file.__exit__(kind, error, trace)
        self.close()

    def __del__(self) -> None:
        self._file.__del__()


def _is_left_by_error(known: BaseException | None) -> bool:
    """Tell whether a `with` statement is being left by an exception that has come up since a file was opened.

    What wraps a file (`fsspec.open`, pandas) closes it in both cases, and tells it nothing.
    """
    error = sys.exc_info()[1]
    if error is None or error is known:
        return False
    return any(
        frame.f_code.co_name == "__exit__" and any(value is error for value in _held(frame))
        for frame in _callers(sys._getframe(1))
    )


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    for _ in range(_FRAMES):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _held(frame: FrameType) -> Iterator[object]:
    """Give what the parameters of a function hold, those of `*args` one by one."""
    for value in frame.f_locals.values():
        if isinstance(value, tuple):
            yield from value
        else:
            yield value
