"""The part of a large file: filled at several places, and gone on with by whoever comes after a stop or a kill."""

import os
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from zlib_ng.zlib_ng import adler32

from ctadata_providers.backends import Enough
from ctadata_providers.errors import CtaError, StorageError
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import fulfil, wait
from ctadata_providers.transfer.asking import in_own_thread
from ctadata_providers.transfer.context import Progress
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.parts import owners
from ctadata_providers.transfer.parts.hashing import Follower, digest_of
from ctadata_providers.transfer.parts.leftovers import Adopted
from ctadata_providers.transfer.parts.segments import Segment, Segments
from ctadata_providers.transfer.parts.sidecar import Origin, Sidecar, Told
from ctadata_providers.transfer.parts.writing import Target, created, too_many

CHECKED_SECONDS = 1.0
TELL_EVERY = 64 * 1024
FOLLOWED_EVERY = 1024 * 1024
GATHERED_PIECES = 8
"""Pieces that are written together: libcurl gives 16 KiB at most (CURL_MAX_WRITE_SIZE), and a call for each of them
costs a sixth of all the time; what waits is still in the cache of the processor."""
GATHERED_SECONDS = 0.1
"""Time after which a slow line's bytes are written as they come."""


class ResumablePart:
    """A part with a sidecar; thread-safe.

    Args:
        target: The file that it becomes.
        stem: What its name begins with.
        origin: The file, as a listing told of it; its size is known.
        algorithm: Checksum to compute, None for none.
        progress: Told of the bytes that pass.
        adopted: A part of before to go on with.
        there: What is there of it: start, end and adler32 of each range.
    """

    def __init__(
        self,
        target: Target,
        stem: str,
        origin: Origin,
        *,
        algorithm: str | None,
        progress: Progress | None,
        adopted: Adopted | None = None,
        there: list[tuple[int, int, int]] | None = None,
    ) -> None:
        assert origin.size is not None  # noqa: S101 (else it is no large file)
        self.size = origin.size
        self.failure: BaseException | None = None
        self.etag: str | None = None
        self.encrypted = True
        self._target = target
        self._progress = progress
        self._algorithm = algorithm
        self._follows = algorithm not in (None, "adler32")
        self.lock = threading.RLock()
        self._origin = origin
        self._sidecar: Sidecar | None = None
        self._ended = False
        self._checked = time.monotonic()
        self._follower: Follower | None = None
        self._tells_rows = False
        self._followed = 0
        self._reported = 0
        self.segments = Segments.of(self.size, there or ())
        self.received = self.resumed = self.segments.received
        """Bytes that are there, and those of them that were there from a run before."""
        self._fd = -1
        self._name = owners.new_name(stem) if adopted is None else adopted.name
        try:
            self._begin(adopted)
        except BaseException:
            self.discard()
            raise

    def _begin(self, adopted: Adopted | None) -> None:
        if adopted is None:
            self._name.claim()
            self._fd = created(self._target, self._place, os.O_RDWR)
            self._target.check_space(self.size)
        else:
            self._fd = adopted.fd
            self.etag, self.encrypted = adopted.told.etag, adopted.told.encrypted
            self._tells_rows = adopted.told.rows is not None
            self._tell()
        self.report()

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are there."""
        return self.received == self.size

    def answered(self, etag: str | None, *, encrypted: bool) -> None:
        """Take note of what the answer tells that the first bytes come with."""
        with self.lock:
            if self._fd < 0:
                raise Enough
            self.etag, self.encrypted = etag or self.etag, self.encrypted and encrypted
            self._tell()

    def write(self, segment: Segment, data: bytes) -> None:
        """Take the next bytes of a segment.

        Raises:
            Enough: When it is full, or nothing is wanted any more.
            QuotaError: When the disk is full.
            IntegrityError: When there are more than were announced.
            StorageError: For another fault of the file system.
        """
        with self.lock:  # 65,000 times for each GiB
            if self._fd < 0 or not segment.taken:
                raise Enough
            segment.gathered.append(data)
            segment.pending = pending = segment.pending + len(data)
            room = segment.end - segment.pos
            now = time.monotonic()
            if pending < room and len(segment.gathered) < GATHERED_PIECES and now < segment.due:
                return
            segment.due = now + GATHERED_SECONDS
            self._write_out(segment)
        self.report()
        if pending > room or (pending == room and segment.limit > segment.end):
            raise Enough

    def _write_out(self, segment: Segment) -> None:
        """Write what has been gathered of a segment.

        Raises:
            CtaError: As `write`; it is kept as the failure, too.
        """
        pieces, pending, pos = segment.gathered, segment.pending, segment.pos
        segment.gathered, segment.pending = [], 0
        room = segment.end - pos
        try:
            if pending > room:
                if segment.end == self.size:
                    raise too_many(self._target.place, self.size)
                pieces, pending = [b"".join(pieces)[:room]], room
            written = os.pwritev(self._fd, pieces, pos)
            if written < pending:
                rest = memoryview(b"".join(pieces))
                while written < pending:
                    written += os.pwrite(self._fd, rest[written:], pos + written)
            segment.pos = pos = pos + written
            self.received += written
            if self._algorithm == "adler32":
                for piece in pieces:
                    segment.adler = adler32(piece, segment.adler)
            elif self._follows and self.received - self._followed >= FOLLOWED_EVERY:
                self._follow()
            if self._tells_rows and (pos - segment.told >= TELL_EVERY or pos == segment.end):
                self._tell_row(segment)
        except (OSError, StorageError) as error:
            self.failure = explained(error, self._target.place, "write")
            raise self.failure from error

    def report(self) -> None:
        """Tell the progress; what it raises is the failure."""
        if self._progress is None:
            return
        with self.lock:
            news, self._reported = self.received - self._reported, self.received
        if news:
            try:
                self._progress(news)
            except BaseException as error:
                self.failure = error
                raise

    def split(self) -> Segment | None:
        """Return a piece for another stream, None when nothing worth it is left."""
        with self.lock:
            piece = self.segments.split()
            if piece is not None and not self._tells_rows:
                self._tells_rows = True
                self._tell()  # before a byte is written behind a gap
            return piece

    def give_back(self, segment: Segment) -> None:
        """Say that a stream has ended that filled a segment."""
        with self.lock:
            if self._fd >= 0 and segment.pending:
                with suppress(CtaError):  # it is kept for whoever takes note of the end
                    self._write_out(segment)
            segment.taken = False
            if segment.missing:
                self.segments.give_back()

    def restart(self) -> None:
        """Forget what has arrived."""
        with self.lock:
            reported, self._reported, self.received, self.resumed = self._reported, 0, 0, 0
            os.ftruncate(self._fd, 0)
            self.segments = Segments.of(self.size)
            self._tells_rows = False
            self.etag, self.encrypted = None, True
            self._stop_following()
            if self._sidecar is not None:
                self._sidecar.remove()
                self._sidecar = None
        if self._progress is not None and reported:
            self._progress(-reported)

    async def checksums(self) -> dict[str, str]:
        """Return the checksum of the whole file, when all of it is there."""
        if self._algorithm is None:
            return {}
        if not self._follows:
            return {self._algorithm: f"{self.segments.adler:08x}"}
        with self.lock:
            self._follow()
            follower = self._follower
        assert follower is not None  # noqa: S101 (it follows)
        try:
            return {self._algorithm: await wait(follower.digest(self.size))}
        except OSError as error:
            raise explained(error, self._place, "read") from error

    async def reread(self, algorithm: str) -> str:
        """Return another checksum of the whole file, when all of it is there."""
        return await digest_of(self._fd, self.size, algorithm, self._place)

    def check_ours(self) -> None:
        """Make sure, now and then, that no other process has taken the part for given up, and say that it is not.

        Raises:
            StorageError: When one has.
        """
        now = time.monotonic()
        if now < self._checked + CHECKED_SECONDS:
            return
        self._checked = now
        try:
            os.utime(self._place)
        except OSError as error:
            raise self._lost(error) from error

    def publish(self) -> None:
        """Make the part the target, in one step.

        Raises:
            AlreadyExistsError: When the target has come to be meanwhile and may not be overwritten.
        """
        with self.lock:
            descriptor, self._fd = self._fd, -1
        try:
            self._target.publish(self._place, descriptor)
        except FileNotFoundError as error:
            raise self._lost(error) from error
        except OSError as error:
            raise explained(error, self._target.place, "write") from error
        self.discard()

    def discard(self) -> Future[None] | None:
        """Remove what is left of it, if anything; streams that still run end at their next bytes.

        Returns:
            What is done when it is closed, None when it is: only then its space is free, and on NFS its folder empty.
        """
        with self.lock:
            descriptor, self._fd = self._fd, -1
            self._stop_following()
            if self._ended:
                return None
            self._ended = True
        with suppress(OSError):
            os.unlink(self._place)  # noqa: PTH108 (in the loop's thread)
        if self._sidecar is not None:
            self._sidecar.remove()
        self._name.give_up()
        return _closing(descriptor) if descriptor >= 0 else None

    def keep(self) -> None:
        """Leave what has arrived to the next run, safe from whatever happens to the machine; may take a while."""
        with self.lock:
            if self._ended:
                return
            descriptor, self._fd = self._fd, -1
            self._stop_following()
            self._ended = True
        try:
            os.fsync(descriptor)
            if self._sidecar is not None:
                self._sidecar.tell(replace(self._told(), synced=True))
        except OSError:
            pass  # then the next run decides by what was told before
        finally:
            os.close(descriptor)
            if self._sidecar is not None:
                self._sidecar.close()
            self._name.give_up()

    def leave(self) -> Future[None] | None:
        """Leave what has arrived to the next run, at once: unlike `keep`, not safe from what happens to the machine.

        Returns:
            What is done when it is closed, None when it is: a file system of another machine may send it only then.
        """
        with self.lock:
            descriptor, self._fd = self._fd, -1
            self._stop_following()
            if self._ended:
                return None
            self._ended = True
            if self._tells_rows:
                with suppress(OSError):  # then the next run has fewer of the bytes
                    for segment in self.segments.parts:
                        self._tell_row(segment)
        if self._sidecar is not None:
            self._sidecar.close()
        self._name.give_up()
        return _closing(descriptor) if descriptor >= 0 else None

    @property
    def _place(self) -> Path:
        return self._target.place.parent / self._name.part

    def _told(self) -> Told:
        rows: list[tuple[int, int]] | None = None
        if self._tells_rows:
            rows = [(0, 0)] * self.segments.rows
            for segment in self.segments.parts:
                rows[segment.row] = (segment.start, segment.pos)
                segment.told = segment.pos
        return Told(self._origin, self.etag, self.encrypted, rows=None if rows is None else tuple(rows))

    def _tell(self) -> None:
        try:
            if self._sidecar is None:
                self._sidecar = Sidecar(self._target.place.parent / self._name.sidecar, self._told())
            else:
                self._sidecar.tell(self._told())
        except OSError as error:
            self.failure = explained(error, self._target.place, "write")
            raise self.failure from error

    def _tell_row(self, segment: Segment) -> None:
        segment.told = segment.pos
        if self._sidecar is not None:
            self._sidecar.tell_row(segment.row, segment.start, segment.pos)

    def _follow(self) -> None:
        self._followed = self.received
        if self._follower is None and self._algorithm is not None:
            self._follower = Follower(self._fd, self._algorithm)
        if self._follower is not None:
            self._follower.advance(self.segments.prefix)

    def _stop_following(self) -> None:
        follower, self._follower = self._follower, None
        self._followed = 0
        if follower is not None:
            follower.stop()

    def _lost(self, error: OSError) -> StorageError:
        if not isinstance(error, FileNotFoundError):
            return explained(error, self._target.place, "write")
        return StorageError(
            f"cannot write {self._target.place}: its unfinished part was removed, or another process goes on with it",
            path=self._target.place,
            remedy="run it again when that process has ended",
        )


def _closing(descriptor: int) -> Future[None]:
    """Close a part in a thread, for it takes a while: gigabytes are freed then, or sent to where the disk is."""
    close = partial(os.close, descriptor)
    try:
        return in_own_thread(close)
    except RuntimeError:  # no thread is to be had
        closed: Future[None] = Future()
        fulfil(closed, close)
        return closed
