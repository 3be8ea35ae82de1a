"""Bytes between the data centre and another storage: as streams, verified, and not through a disk."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO, TypeVar, cast

from airflow_provider_cta.progress import Progress
from airflow_provider_cta.transfers.places import BLOCK, Place, print_of
from ctadata_providers import (
    AlreadyExistsError,
    CtaClient,
    FileInfo,
    IntegrityError,
    NotFoundError,
    TransferResult,
    uri,
)

T = TypeVar("T")
R = TypeVar("R")
Result = dict[str, Any]

AT_ONCE = 4
"""Files at once: each may hold some blocks in memory."""
_PIECE = 1024 * 1024
_PIECES = 8
_GLANCE = 0.2
"""Seconds from look to look whether all is to end."""
_CLEANING = 10.0
"""Seconds, at most, for which a transfer that was stopped may clean up."""


class StoppedError(Exception):
    """The task ends: nothing more is read or written."""


class Pipe:
    """Bytes from the thread that moves those of all transfers to the one that writes them; holds a few MB at most.

    The first one never waits here: it asks for room, and lets the server wait when there is none.

    Args:
        stop: Set when all is to end.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._held = bytearray()
        self._stop = stop
        self._closed = False
        self._lock = threading.Lock()
        self._waiting: Future[None] | None = None

    def room(self) -> Future[None] | None:
        """Return what is done once there is room, None when there is."""
        with self._lock:
            if self._closed or self._queue.qsize() < _PIECES:
                return None
            self._waiting = self._waiting or Future()
            return self._waiting

    def __call__(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            StoppedError: When nobody wants them any more.
        """
        if self._closed or self._stop.is_set():
            raise StoppedError
        self._held += data
        if len(self._held) >= _PIECE:
            self._pass_on()

    def end(self) -> None:
        """Say that there are no more."""
        self._pass_on()
        self._queue.put(None)

    def close(self) -> None:
        """Say that no more are wanted."""
        self._closed = True
        self._let_on()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            if self._stop.is_set():  # whatever is in it already
                raise StoppedError
            try:
                piece = self._queue.get(timeout=_GLANCE)
            except Empty:
                continue
            if piece is None:
                return
            if self._queue.qsize() <= _PIECES // 2:
                self._let_on()
            yield piece

    def _pass_on(self) -> None:
        if self._held:
            self._queue.put(bytes(self._held))
            self._held.clear()

    def _let_on(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.set_result(None)


def to_storage(
    client: CtaClient, info: FileInfo, target: Place, *, overwrite: bool, progress: Progress, stop: threading.Event
) -> Result:
    """Give a file of the data centre to another storage.

    Raises:
        AlreadyExistsError: When the target exists and may not be overwritten.
        IsADirError: When either is a folder.
        IntegrityError: When size or checksum are not what the data centre said, or what is stored is not all.
        CtaError: As the client raised it.
    """
    if not overwrite and target.look() is not None:
        raise AlreadyExistsError(
            f"cannot write {target.uri}: it exists", path=target.uri, remedy="remove it first, or allow overwriting"
        )
    if target.is_local:  # the disk of the worker can do more: parts that are gone on with, a rename at the end
        begun = client.begin_download(info, target.path, overwrite=overwrite, progress=progress)
        done = _outcome(begun, stop)
        return _result(info.path, target, done.size, done.checksums)
    pipe = Pipe(stop)
    streaming = client.begin_stream(info, pipe)
    streaming.add_done_callback(lambda _: pipe.end())
    try:
        if info.size is not None and info.size <= BLOCK:
            content = b"".join(_counted(pipe, progress))
            streamed = streaming.result()
            target.put(content)
        else:
            with target.written(info.size) as file:
                for piece in _counted(pipe, progress):
                    file.write(piece)
                streamed = streaming.result()  # what was given is right, or this raises, and it is discarded
    finally:
        pipe.close()
        streaming.cancel()
    return _result(info.path, target, streamed.size, streamed.checksums)


def from_storage(
    client: CtaClient, source: Place, path: str, *, overwrite: bool, progress: Progress, stop: threading.Event
) -> Result:
    """Give a file of another storage to the data centre, where it is whole or absent.

    Raises:
        NotFoundError: When there is no such file.
        AlreadyExistsError: When the target exists and may not be overwritten.
        IsADirError: When either is a folder.
        IntegrityError: When what is stored is not what was read, or the source changes meanwhile.
        CtaError: As the client raised it.
    """
    details = source.look()
    if details is None:
        raise NotFoundError(f"there is no {source.uri}", path=source.uri, remedy="check the path and the connection")
    if source.is_local:
        done = _outcome(client.begin_upload(source.path, path, overwrite=overwrite, progress=progress), stop)
    else:
        with source.read() as file:
            reading = cast("BinaryIO", _Reading(source, file, details, stop))
            done = _outcome(client.begin_write(path, reading, overwrite=overwrite, progress=progress), stop)
    return _result(done.path, source, done.size, done.checksums)


def _outcome(begun: Any, stop: threading.Event) -> TransferResult:
    """Wait for the end of a transfer, and return its result or raise its error; stop it when all is to end.

    Raises:
        StoppedError: Then.
    """
    while not begun.wait(_GLANCE):
        if stop.is_set():
            begun.cancel()
            begun.wait(_CLEANING)
            raise StoppedError
    done: TransferResult = begun.result()
    return done


class _Reading:
    """A file of another storage as an upload wants it: its size may be asked, and tells whether it has changed.

    Args:
        place: Where it is.
        file: It, open.
        details: What was told of it before.
        stop: Set when all is to end.
    """

    def __init__(self, place: Place, file: Any, details: Any, stop: threading.Event) -> None:
        self._place = place
        self._file = file
        self._before = print_of(details)
        self._size = details["size"]
        self._stop = stop

    def seekable(self) -> bool:
        """Tell whether it can be read again; else it is spooled to disk first."""
        return self._size is not None and bool(self._file.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place; at the end, make sure that it is still the same file.

        Raises:
            IntegrityError: When it is not.
        """
        if whence == 2:
            if print_of(self._place.look()) != self._before:
                raise IntegrityError(
                    f"{self._place.uri} has changed while it was read", path=self._place.uri, remedy="transfer it again"
                )
            return int(self._size)
        return int(self._file.seek(offset, whence))

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            StoppedError: When all is to end.
        """
        if self._stop.is_set():
            raise StoppedError
        return bytes(self._file.read(size))


def each(work: Callable[[T], R], items: Sequence[T], stop: threading.Event) -> list[R]:
    """Do something with each, some at once; the first error, or an interrupt, ends all.

    Args:
        work: What is done, in a thread.
        items: With what.
        stop: Set when all is to end; `work` looks at it.
    """
    given_out = threading.Event()

    def begin(item: T) -> R:
        given_out.wait()  # the pool does not know, nor wait for, a thread in whose beginning it is interrupted
        if stop.is_set():
            raise StoppedError
        return work(item)

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="cta-stream") as pool:
        try:
            futures = [pool.submit(begin, item) for item in items]
            given_out.set()
            pending = set(futures)
            while pending:  # so that a signal is acted on between two waits
                done, pending = wait(pending, timeout=_GLANCE, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
        except BaseException:
            stop.set()
            given_out.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _counted(pieces: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    for piece in pieces:
        progress(len(piece))
        yield piece


def _result(path: str, place: Place, size: int, checksums: Mapping[str, str]) -> Result:
    return {"uri": uri.format_uri(path), "storage_path": place.uri, "size": size, "checksums": dict(checksums)}
