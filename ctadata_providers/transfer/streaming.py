"""The bytes of a remote file, or of a part of it, in their order into a sink: nothing is kept on a disk.

What breaks is gone on with, for what was given is out of our hands; so the file must be known before (`stat`), and is
looked at again where no entity tag tells it from another one. `ranges` holds what it reads, begins anew when something
breaks, and needs to know nothing: a part of a file costs one request there.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from ctadata_providers.backends import ChangedError, Enough, FileInfo, ReadResult
from ctadata_providers.checksum import Hasher, new_hasher
from ctadata_providers.errors import ConfigError, IntegrityError, StorageError, TransientError, UnsupportedError
from ctadata_providers.session.request import Sink, room_of
from ctadata_providers.session.status import NOT_SATISFIABLE
from ctadata_providers.session.tasks import asked, wait
from ctadata_providers.transfer import verify
from ctadata_providers.transfer.context import RENEWED_FROM, Attempts, Context
from ctadata_providers.transfer.download import refuse_unreadable, requires_checksum

HELD_UP = 5.0
"""Seconds for which a sink must hold up a connection for its end to be our fault: a reader who turns pages."""
_ADVICE = "what has been given is not to be used: try again"


@dataclass(frozen=True, slots=True)
class Streamed:
    """What has been given to a sink.

    Attributes:
        size: Bytes that were given.
        etag: Entity tag of the file that they are of, None when the server did not tell.
        verified: Whether a checksum of the whole file was compared.
        checksums: Of the whole file, computed on the bytes that passed, hexadecimal by algorithm.
    """

    size: int
    etag: str | None
    verified: bool = False
    checksums: Mapping[str, str] = field(default_factory=dict)


async def stream(
    context: Context, info: FileInfo, sink: Sink, *, start: int = 0, end: int | None = None, if_match: str | None = None
) -> Streamed:
    """Give the bytes from `start` up to but without `end` to a sink, each once, whatever breaks on the way.

    Args:
        context: What the transfers of a client share.
        info: The file, as a listing or stat told of it.
        sink: Takes the bytes, in another thread, which moves the bytes of all transfers of the process: while it
            blocks, they wait. One that may have to wait has a method `room` (`RoomySink`).
        start: The first byte.
        end: The byte after the last; None, or more than there is, for all that follow.
        if_match: The entity tag that the file must have.

    Raises:
        IsADirError: When it is a folder.
        ChangedError: When it is another file than `if_match` says, or changes under way.
        IntegrityError: When size or, of a whole file, checksum are not what the server said.
        UnsupportedError: When a part would come over plain http.
        TransientError: When the retries are used up.
    """
    refuse_unreadable(info, "read")
    if start < 0 or (end is not None and end < start):
        raise ConfigError(f"there is no range from {start} to {end}", path=info.path, remedy="begin before the end")
    stop = info.size if end is None or (info.size is not None and end > info.size) else end
    if start and stop is not None and start >= stop:
        return Streamed(0, if_match)
    whole = start == 0 and stop == info.size
    taken = _Taken(context, info, sink, start=start, stop=stop, whole=whole, if_match=if_match)
    context.places.take()
    try:
        await _fetch(context, info, taken)
        return await _verified(context, info, taken)
    except StorageError as error:
        if not isinstance(error, IntegrityError) and error.status != NOT_SATISFIABLE:
            raise
        raise _told(info.path, error) from error
    finally:
        context.places.leave()


class _Taken:
    """The sink of the answers: passes on what has not come before, and no byte of another file."""

    def __init__(
        self,
        context: Context,
        info: FileInfo,
        sink: Sink,
        *,
        start: int,
        stop: int | None,
        whole: bool,
        if_match: str | None,
    ) -> None:
        algorithm = verify.algorithm_for(context, info.checksums) if whole else None
        self.hasher: Hasher | None = None if algorithm is None else new_hasher(algorithm)
        self.algorithm = algorithm
        self.start = self.pos = start
        self.stop = stop
        self.whole = whole
        self.etag = if_match
        self.encrypted = True
        self.doubtful = False
        """Whether the bytes came with several answers of which nothing says that they are of one file."""
        self.held_up = False
        """Whether the sink has made the server wait so long that it may give up."""
        self.checksums: dict[str, str] = {}
        self._context = context
        self._info = info
        self._sink = sink
        self._room = room_of(sink)
        self._skipped = 0

    def answered(self, head: ReadResult) -> None:
        """Decide by the head of an answer whether its bytes are wanted.

        Raises:
            IntegrityError: When they are of a file of another size than the listing says.
            UnsupportedError: When nothing could prove that they are right.
        """
        path, size = self._info.path, self._info.size
        if None not in (head.size, size) and head.size != size:
            raise IntegrityError(
                f"{path}: the answer announces {head.size} bytes, but the listing says {size}", path=path
            )
        self.encrypted = self.encrypted and head.encrypted
        if not self.whole and not head.encrypted and self._context.door.startswith("https:"):
            raise UnsupportedError(
                f"a part of {path} would come over plain http, where nothing proves that it is right",
                path=path,
                remedy="read all of it, which is compared with its checksum",
            )
        self.doubtful = self.doubtful or (self.pos > self.start and not (self.etag and head.etag))
        self.etag = self.etag or head.etag
        self.checksums.update(head.checksums)
        self._skipped = self.pos - head.start

    def room(self) -> Future[Any] | None:
        """Return what is done once there is room for more bytes."""
        waiting = self._room()
        if waiting is not None:
            begun = time.monotonic()
            waiting.add_done_callback(lambda _: self._note_wait(begun))
        return waiting

    def _note_wait(self, begun: float) -> None:
        self.held_up = self.held_up or time.monotonic() - begun > HELD_UP

    def __call__(self, data: bytes) -> None:
        """Pass the next bytes on.

        Raises:
            IntegrityError: When there are more than the file has.
        """
        if self._skipped:
            skipped = min(self._skipped, len(data))
            self._skipped -= skipped
            data = data[skipped:]
            if not data:
                return
        if self.stop is not None and self.pos + len(data) > self.stop:
            if self.whole:
                verify.check_size(self._info.path, got=self.pos + len(data), wanted=self.stop, what="the listing says")
            data = data[: self.stop - self.pos]
            if not data:
                raise Enough  # a server that ignores ranges goes on to the end of the file
        # Counted before: what the sink raises ends all, and nothing is ever given twice.
        self.pos += len(data)
        if self.hasher is not None:
            self.hasher.update(data)
        begun = time.monotonic()
        self._sink(data)
        self._note_wait(begun)


async def _fetch(context: Context, info: FileInfo, taken: _Taken) -> None:
    """Read until all has been given; a broken answer is gone on with where it broke."""
    attempts = Attempts(context)
    best = taken.pos
    while True:
        end = None if taken.whole and not taken.pos else taken.stop  # a whole file may come with its checksum
        try:
            await wait(context.backend.read(info.path, taken, start=taken.pos, end=end, if_match=taken.etag))
        except Enough:
            return
        except TransientError as error:
            if taken.pos == taken.stop:
                return
            if taken.pos and taken.stop is None:
                raise  # where it would have to go on to is not known
            if taken.held_up:
                taken.held_up, best = False, taken.pos
                attempts.renew()
                continue
            if taken.pos - best >= RENEWED_FROM:
                best = taken.pos
                attempts.renew()
            await attempts.again(error)
        else:
            return


async def _verified(context: Context, info: FileInfo, taken: _Taken) -> Streamed:
    """Make sure that what was given is the file, or its part.

    Raises:
        IntegrityError: When it is not.
    """
    verify.check_size(info.path, got=taken.pos, wanted=taken.stop, what="the listing says")
    size, compared = taken.pos - taken.start, False
    computed: dict[str, str] = {}
    if taken.whole:
        required = requires_checksum(context, encrypted=taken.encrypted)
        known = {**info.checksums, **taken.checksums}
        offered = await verify.server_checksums(context, info.path, size, known=known, required=required)
        computed = {taken.algorithm: taken.hasher.hexdigest()} if taken.algorithm and taken.hasher else {}
        verify.compare(info.path, computed=computed, offered=offered, required=required)
        compared = bool(computed.keys() & offered.keys())
    if taken.doubtful and not compared:
        now = await wait(asked(lambda: context.backend.stat(info.path)))
        if not now.is_as(info):
            raise IntegrityError(f"{info.path} has changed while it was read", path=info.path)
    return Streamed(size, taken.etag, verified=compared, checksums=computed)


def _told(path: str, error: StorageError) -> StorageError:
    """Return an error that says what is to be thought of bytes that are out of our hands."""
    if isinstance(error, ChangedError) or error.status == NOT_SATISFIABLE:
        return ChangedError(f"{path} has changed while it was read", path=path, remedy=_ADVICE)
    told = copy(error)
    if told.remedy is None or "nothing was kept" in told.remedy:
        told.remedy = _ADVICE
    return told
