"""Fetches what is missing of a large file: one stream, more where that helps, fewer where the server says so.

It begins with one GET of the whole file. Where the line gives a connection less than it could give in sum, another
stream takes the second half of what is still to come of the longest one, which then ends there. Their number grows
while the sum does. A server that ignores ranges, or has no place for another connection, is met with fewer.
"""

import logging
import time

from ctadata_providers.backends import ChangedError, Enough, FileInfo, ReadResult
from ctadata_providers.errors import CtaError, IntegrityError, StorageError, TransientError, UnsupportedError
from ctadata_providers.session.futures import Future
from ctadata_providers.session.status import NOT_SATISFIABLE
from ctadata_providers.session.tasks import wait
from ctadata_providers.transfer import verify
from ctadata_providers.transfer.context import RENEWED_FROM, Attempts, Context
from ctadata_providers.transfer.parts.ramp import Ramp
from ctadata_providers.transfer.parts.resumable import ResumablePart
from ctadata_providers.transfer.parts.segments import Segment
from ctadata_providers.transfer.pulse import Pulse

logger = logging.getLogger(__name__)
CHANGES = 2
"""How often a file may change under way before that is an error."""
NO_PLACE = (429, 503)
"""What servers answer that want fewer connections."""


class Stream:
    """What one GET brings: the sink of its bytes."""

    def __init__(self, owner: "Streams", segment: Segment, *, ranged: bool) -> None:
        self.segment = segment
        self.has_begun = False
        self.future: Future[ReadResult] = Future()
        self._owner = owner
        self._write = owner.part.write
        self._ranged = ranged

    def answered(self, head: ReadResult) -> None:
        """Decide by the head of the answer whether its bytes are wanted.

        Raises:
            ChangedError: When they are of another file than those that are there.
            IntegrityError: When they are of a file of another size than the listing says.
            UnsupportedError: When they are all of the file, and others have some of it already.
        """
        with self._owner.part.lock:
            if not self.segment.taken:
                raise Enough
            if self._ranged and head.start != self.segment.pos:  # from the first byte on, not from where it should
                self.segment = self._owner.from_zero()
                self._ranged = False
            self._owner.take_note(head)

    def __call__(self, data: bytes) -> None:
        """Write the next bytes."""
        if not self.has_begun:
            self.has_begun = True
            self._owner.pulse.give()  # from here on it is measured
        self._write(self.segment, data)


class Streams:
    """The streams of one download.

    Args:
        context: What the transfers of a client share.
        info: The file, as a listing or stat told of it.
        part: Where the bytes go.
        attempts: Counts the retries.
    """

    def __init__(self, context: Context, info: FileInfo, part: ResumablePart, attempts: Attempts) -> None:
        self.part = part
        self.checksums: dict[str, str] = {}
        self.early: verify.Early | None = None
        """The server's answer to a question for checksums, if one was asked."""
        self.most = 0
        self.doubtful = part.received > 0 and part.etag is None
        """Whether the bytes came with several answers of which nothing says that they are of one file."""
        self._context = context
        self._info = info
        self._attempts = attempts
        self.pulse = Pulse()
        self._active: list[Stream] = []
        self._answers = 1 if part.received else 0
        self._ranges = True
        self._changes = 0
        self._best = part.received
        self._paused_until = 0.0
        self._setbacks = 0
        self._at_setback = 0
        self._ramp = Ramp(context.streams, part.size)

    async def run(self) -> None:
        """Fetch until all bytes are there.

        Raises:
            CtaError: As `download`.
        """
        part = self.part
        try:
            while self._active or not part.is_whole:
                with part.lock:
                    if not part.is_whole:
                        self._start_some()
                    seconds = self._ramp.interval if self._active else self._paused_until - time.monotonic()
                await wait(self.pulse.within(seconds))
                with part.lock:
                    error = self._collect()
                    self._ramp.tick(part.received, [stream.has_begun for stream in self._active])
                    self._stop_some(self._ramp.wanted)
                part.report()
                if error is not None:
                    await self._again(error)
                part.check_ours()
        finally:
            self._stop_some(0)

    # Called in the loop's thread, by the streams.

    def take_note(self, head: ReadResult) -> None:
        """Compare what an answer tells with what is known, before its bytes are taken."""
        part = self.part
        if part.etag and head.etag and part.etag.removeprefix("W/") != head.etag.removeprefix("W/"):
            raise ChangedError(
                f"{self._info.path} has changed while it was downloaded",
                path=self._info.path,
                remedy="nothing was kept: try again",
            )
        if head.size not in (None, part.size):
            raise IntegrityError(
                f"{self._info.path}: the answer announces {head.size} bytes, but the listing says {part.size}",
                path=self._info.path,
                remedy="nothing was kept; the file may be changing right now: try again",
            )
        self._answers += 1
        if self._answers > 1 and not (part.etag and head.etag):
            self.doubtful = True
        self.checksums.update(head.checksums)
        if self.early is None:  # now it is known which version is read, and what this answer tells of it
            known = {**self._info.checksums, **self.checksums}
            self.early = verify.ask_early(self._context, self._info.path, part.size, known=known)
        if self._answers == 1 or not head.encrypted:
            part.answered(head.etag, encrypted=head.encrypted)

    def from_zero(self) -> Segment:
        """Begin again with an answer that holds the whole file instead of a range, if nobody else has any of it."""
        self._ranges = False
        if len(self._active) > 1:
            raise UnsupportedError(f"the server ignores ranges of {self._info.path}", path=self._info.path)
        self._forget()
        segment = self.part.segments.parts[0]
        segment.taken, segment.limit = True, self.part.size
        return segment

    # Called by the coroutine.

    def _start_some(self) -> None:
        now = time.monotonic()
        while len(self._active) < self._allowed(now):
            segment = self.part.segments.idle()
            if segment is None and self._ranges and self._active:
                segment = self.part.split()
            if segment is None:
                return
            if segment.pos > 0 and not self._ranges:
                if self._active:
                    return
                self._forget()
                segment = self.part.segments.parts[0]
            self._start(segment)

    def _allowed(self, now: float) -> int:
        """Return how many streams there may be: one in any case, unless it waits for its turn."""
        if now < self._paused_until:
            return 0
        if not self._active:
            return 1
        wanted = self._ramp.wanted if self._ranges else 1
        context, active = self._context, len(self._active)
        most = max(context.max_parallel, context.streams or 1)
        return active + 1 if active < wanted and context.places.used < most else active

    def _start(self, segment: Segment) -> None:
        whole = segment.pos == 0 and (segment.end == self.part.size or not self._active)
        segment.taken = True
        segment.limit = self.part.size if whole else segment.end
        stream = Stream(self, segment, ranged=not whole)
        if self._active:
            self._context.places.take()
        self._active.append(stream)
        self.most = max(self.most, len(self._active))
        end = None if whole else segment.end
        stream.future = self._context.backend.read(
            self._info.path, stream, start=segment.pos, end=end, if_match=self.part.etag
        )
        stream.future.add_done_callback(lambda _: self.pulse.give())

    def _collect(self) -> TransientError | None:
        """Take note of the streams that have ended; return the fault after which none is left.

        Raises:
            CtaError: What no other stream would survive.
        """
        for stream in [stream for stream in self._active if stream.future.done()]:
            self._leave(stream)
            error = stream.future.exception()
            if self.part.failure is not None:
                raise self.part.failure
            fault = self._fault(stream, error)
            if fault is not None:
                return fault
        return None

    def _fault(self, stream: Stream, error: BaseException | None) -> TransientError | None:
        """Decide what the end of a stream means; return a fault that must be waited out."""
        if error is None and stream.segment.missing:
            verify.check_size(self._info.path, got=self.part.received, wanted=self.part.size, what="the listing says")
        if error is None or isinstance(error, Enough):
            return None
        if isinstance(error, ChangedError) or (isinstance(error, StorageError) and error.status == NOT_SATISFIABLE):
            self._changes += 1
            if self._changes > CHANGES:
                raise error
            self._stop_some(0)
            self._forget()
            return None
        if isinstance(error, UnsupportedError) and not self._ranges:
            return None
        if self._active and isinstance(error, CtaError) and not isinstance(error, IntegrityError):
            self._set_back(error)
            return None
        if isinstance(error, TransientError):
            return None if self.part.is_whole else error
        raise error

    def _set_back(self, error: CtaError) -> None:
        """Let the others go on after a fault of one stream: with fewer, when the server has no place for it."""
        logger.info("%s; the other streams go on", error.message)
        if self.part.received - self._at_setback >= RENEWED_FROM:
            self._setbacks = 0
        self._at_setback = self.part.received
        delay = self._context.policy.delay(self._setbacks, error) if isinstance(error, TransientError) else None
        self._setbacks += 1
        if delay is None or (isinstance(error, TransientError) and error.status in NO_PLACE):
            self._ramp.fewer(len(self._active))
        self._paused_until = time.monotonic() + (delay or 0.0)

    async def _again(self, error: TransientError) -> None:
        """Wait before the next attempt.

        Raises:
            TransientError: When there are no more.
        """
        if self.part.received - self._best >= RENEWED_FROM:
            self._best = self.part.received
            self._attempts.renew()
        if not self.part.received:
            self.early = None  # all bytes may come with an answer of another version
        await self._attempts.again(error)

    def _forget(self) -> None:
        self.part.restart()
        self._answers, self.doubtful, self.checksums, self.early = 0, False, {}, None

    def _leave(self, stream: Stream) -> None:
        self._active.remove(stream)
        if self._active:
            self._context.places.leave()
        self.part.give_back(stream.segment)

    def _stop_some(self, left: int) -> None:
        """Stop those that were begun last; their pieces go back."""
        with self.part.lock:
            stopped = self._active[left:]
            for stream in reversed(stopped):
                self._leave(stream)
        for stream in stopped:
            stream.future.cancel()
