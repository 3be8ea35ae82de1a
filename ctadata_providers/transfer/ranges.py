"""Parts of files, read into memory: many at once, several with one request where the server does that."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import closing, suppress
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby

from ctadata_providers.backends import (
    ChangedError,
    EndedError,
    Enough,
    ReadResult,
    SpanOperations,
    SpansBackend,
    Version,
)
from ctadata_providers.checksum import checksum_of, common_algorithm
from ctadata_providers.errors import (
    CtaError,
    IsADirError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    TransientError,
    UnsupportedError,
)
from ctadata_providers.session.futures import Future
from ctadata_providers.session.status import NOT_SATISFIABLE
from ctadata_providers.session.tasks import Task, asked, wait
from ctadata_providers.transfer import verify
from ctadata_providers.transfer.context import Attempts, Context
from ctadata_providers.transfer.download import refuse_unreadable
from ctadata_providers.transfer.parallel import as_ended

MAX_GAP = 16 * 1024
"""Bytes between two ranges that are rather read than asked around."""
MAX_PIECE = 8 * 1024 * 1024
"""Bytes that one request brings at most, where several ranges can be put together."""
MAX_SPANS = 64
"""Ranges of one request: Apache takes 200, and dCache a header of 8 KiB."""
IN_VAIN = 500
"""What dCache answers, among others, when it has waited for minutes for a file to come from tape."""
_PAGE = b"<!doctype html"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file.

    Attributes:
        path: The file.
        start: Its first byte.
        end: The byte behind its last one, None for the end of the file; what is beyond that is not there.
        if_match: The entity tag that the file must have.
        version: What it shares with others that must be of the same version.
    """

    path: str
    start: int = 0
    end: int | None = None
    if_match: str | None = None
    version: Version | None = None

    @property
    def is_free(self) -> bool:
        """Whether any version of the file will do."""
        return self.if_match is None and self.version is None

    def until(self, size: int | None) -> "Part":
        """Return what of it is in a file of some size."""
        return self if size is None else replace(self, end=size if self.end is None else min(self.end, size))


class _Collected:
    """The bytes of one part: a sink that also takes the whole file, of a server that ignores ranges."""

    def __init__(self, context: Context, part: Part, version: Version) -> None:
        self.part = part
        self._version = version
        self._context = context
        self._pieces: list[bytes] = []
        self._skip = 0
        self._begins = False
        self.is_page = False
        """Whether what has come is the beginning of a page: XRootD sends one for a folder, with no type."""
        self._missing = None if part.end is None else part.end - part.start

    @property
    def content(self) -> bytes:
        """What has come of the part."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def answered(self, head: ReadResult) -> None:
        """Take note of where the bytes begin.

        Raises:
            ChangedError: When they are of another version of the file.
            UnsupportedError: When they come over plain http, and there is nothing to compare a part with.
        """
        self._version.check(head)
        self._skip = self.part.start - head.start
        self._begins = head.start == 0
        if _is_whole(self.part) or head.encrypted or not self._context.door.startswith("https:"):
            return
        raise UnsupportedError(
            f"a part of {self.part.path} would come over plain http, where nothing proves that it is right",
            path=self.part.path,
            remedy="download the whole file, which is compared with its checksum",
        )

    def __call__(self, data: bytes) -> None:
        """Take the next bytes; `Enough` when the rest of them is not wanted."""
        if self._begins:
            self.is_page, self._begins = data[: len(_PAGE)].lower() == _PAGE, False
        if self._missing == 0:
            raise Enough  # a server that ignores ranges goes on to the end of the file
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if self._missing is not None:
            data = data[: self._missing]
            self._missing -= len(data)
        if data:
            self._pieces.append(bytes(data))


async def read_part(context: Context, part: Part) -> bytes:
    """Read a part of a file; what is beyond its end is not there.

    Raises:
        ChangedError: When the file has another entity tag, or is another version.
        IntegrityError: When a whole file is not what its checksum says.
        NotFoundError: When there is no such file, also for no bytes of it.
        IsADirError: When it is a folder.
        StorageError: When it is on tape; what has cost the server's patience is not tried again.
        TransientError: When the retries are used up.
    """
    if part.end is not None and part.end <= part.start:
        await _look(context, part.path)
    attempts = Attempts(context)
    backend = context.backend
    while True:
        if part.start and part.end is None:
            part = part.until(await _look(context, part.path, to_read=True))
        if part.end is not None and part.end <= part.start:
            return b""
        version = part.version or Version(part.path, part.if_match)
        sink = _Collected(context, part, version)
        try:
            result = await wait(backend.read(part.path, sink, start=part.start, end=part.end, if_match=part.if_match))
        except Enough:
            return await _checked(context, sink)
        except EndedError as error:
            version.check(ReadResult(error.size))
            part = part.until(error.size)
        except TransientError as error:
            if error.status == IN_VAIN and not attempts.retries:
                with suppress(TransientError, PermissionDeniedError):  # then nothing is known
                    await _look(context, part.path, to_read=True)
            await attempts.again(error)
        except StorageError as error:
            if error.status != NOT_SATISFIABLE:
                raise
            size = await _look(context, part.path)
            version.check(ReadResult(size))
            ended = part.until(size)
            if ended == part:
                raise
            part = ended
        else:
            if _is_whole(part):
                await _check_whole(context, part.path, sink.content, result)
            return await _checked(context, sink)


async def _checked(context: Context, sink: _Collected) -> bytes:
    """Return the bytes of a part, when they are of a file."""
    if sink.is_page:
        await _look(context, sink.part.path)
    return sink.content


async def _look(context: Context, path: str, *, to_read: bool = False) -> int | None:
    """Return the size of a file, None when the server does not tell it; one that is to be read must be on disk."""
    info = await wait(asked(partial(context.backend.stat, path)))
    if info.is_dir:
        raise IsADirError(f"cannot read {path}: it is a folder", path=path, remedy="read the files in it")
    if to_read:
        refuse_unreadable(info, "read")
    return info.size


def _is_whole(part: Part) -> bool:
    return not part.start and part.end is None


async def _check_whole(context: Context, path: str, content: bytes, result: ReadResult) -> None:
    """Compare a whole file with the checksum that came with it, or that must be asked for."""
    unproven = not result.encrypted and context.door.startswith("https:")
    required = unproven or context.checksum == "require"
    if not result.checksums and not required:
        return
    verify.check_size(path, got=len(content), wanted=result.size, what="the answer announced")
    offered = await verify.server_checksums(context, path, len(content), known=result.checksums, required=required)
    algorithm = common_algorithm(offered)
    computed = {algorithm: checksum_of(content, algorithm)} if algorithm else {}
    verify.compare(path, computed=computed, offered=offered, required=required)


@dataclass(slots=True)
class _Piece:
    """Ranges of a file that are read as one, for they touch or nearly do."""

    start: int
    end: int
    numbers: list[int] = field(default_factory=list)


def read_parts(context: Context, parts: Sequence[Part], *, max_gap: int = MAX_GAP) -> list[Future[bytes]]:
    """Read parts of files, several at once, and return the outcome of each, in their order, when all have ended.

    Those of one file that touch, or are no more than `max_gap` apart, are read as one; more of them come with one
    request where the server can do that. Parts of one file are of one version: when it is replaced meanwhile, all of
    them are read anew, once.
    """
    outcomes = _read_once(context, parts, max_gap)
    replaced = _replaced(parts, outcomes)
    again = [number for number, part in enumerate(parts) if part.is_free and part.path in replaced]
    if again:
        renewed = _read_once(context, [parts[number] for number in again], max_gap)
        for number, outcome in zip(again, renewed, strict=True):
            outcomes[number] = outcome
    return outcomes


def _replaced(parts: Sequence[Part], outcomes: Sequence[Future[bytes]]) -> set[str]:
    """Return the files that have been replaced meanwhile: of some, parts have come, and others were not found."""
    changed, missing, came = set(), set(), set()
    for part, outcome in zip(parts, outcomes, strict=True):
        error = outcome.exception()
        if error is None:
            came.add(part.path)
        elif isinstance(error, NotFoundError):
            missing.add(part.path)
        elif isinstance(error, ChangedError) and part.is_free:
            changed.add(part.path)
    return changed | (missing & came)


def _read_once(context: Context, parts: Sequence[Part], max_gap: int) -> list[Future[bytes]]:
    outcomes: list[Future[bytes]] = [Future() for _ in parts]
    with closing(as_ended(_tasks(context, parts, max_gap), context.max_parallel)) as ended:
        for pieces, outcome in ended:
            _hand_out(outcomes, parts, pieces, outcome)
    return outcomes


def _hand_out(
    outcomes: list[Future[bytes]], parts: Sequence[Part], pieces: list[_Piece], ended: Future[list[bytes]]
) -> None:
    error = CancelledError() if ended.cancelled() else ended.exception()
    if error is not None:
        for piece in pieces:
            for number in piece.numbers:
                # Each its own: who raises one adds to its trace.
                outcomes[number].set_exception(copy(error) if isinstance(error, CtaError) else error)
        return
    for piece, content in zip(pieces, ended.result(), strict=True):
        for number in piece.numbers:
            part = parts[number]
            end = len(content) if part.end is None else part.end - piece.start
            whole = part.start == piece.start and end >= len(content)
            outcomes[number].set_result(content if whole else content[part.start - piece.start : max(end, 0)])


def _tasks(context: Context, parts: Sequence[Part], max_gap: int) -> Iterator[tuple[list[_Piece], Task[list[bytes]]]]:
    """Give what is read with one request each, and how."""
    numbered = sorted(range(len(parts)), key=lambda number: (*_file(parts[number]), parts[number].start))
    for (path, if_match), numbers in groupby(numbered, key=lambda number: _file(parts[number])):
        pieces: list[_Piece] = []
        empty: list[int] = []
        version = Version(path, if_match or None)
        for number in numbers:
            part = parts[number]
            version = part.version or version
            if part.end is None:
                yield [_Piece(part.start, part.start, [number])], _alone(context, replace(part, version=version))
            elif part.end <= part.start:
                empty.append(number)
            else:
                _take(pieces, number, part.start, part.end, max_gap)
        if empty:
            yield [_Piece(0, 0, empty)], _alone(context, Part(path, end=0))
        spans = context.backend.spans if isinstance(context.backend, SpansBackend) else None
        most = 1 if spans is None or not spans.offered else min(MAX_SPANS, -(-len(pieces) // context.max_parallel))
        for batch in _batches(pieces, most):
            wanted = [Part(path, piece.start, piece.end, if_match or None, version) for piece in batch]
            yield batch, _read_batch(context, spans, version, wanted)


def _file(part: Part) -> tuple[str, str]:
    return part.path, part.if_match or ""


def _take(pieces: list[_Piece], number: int, start: int, end: int, max_gap: int) -> None:
    """Add a range to the last piece if it is near, or begin another; they come by their starts."""
    last = pieces[-1] if pieces else None
    if last is not None and start - last.end <= max_gap and max(end, last.end) - last.start <= MAX_PIECE:
        last.end = max(last.end, end)
        last.numbers.append(number)
    else:
        pieces.append(_Piece(start, end, [number]))


def _batches(pieces: Iterable[_Piece], most: int) -> Iterator[list[_Piece]]:
    """Put pieces together that come with one request; they must not overlap there."""
    batch: list[_Piece] = []
    size = 0
    for piece in pieces:
        length = max(piece.end - piece.start, 0)
        if batch and (len(batch) >= most or size + length > MAX_PIECE or piece.start < batch[-1].end):
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += length
    if batch:
        yield batch


async def _alone(context: Context, part: Part) -> list[bytes]:
    return [await read_part(context, part)]


async def _read_batch(
    context: Context, spans: SpanOperations | None, version: Version, wanted: Sequence[Part]
) -> list[bytes]:
    """Read parts of one file with one request, or with one each where that is not to be had, or fails.

    A failure may come again: XRootD 5.5 announces bytes behind the end of the file, and never sends them. By itself
    each part has its retries.
    """
    ranges = [(part.start, part.end or 0) for part in wanted]
    if spans is not None and len(ranges) > 1 and spans.offered:
        try:
            result = await wait(spans.read(wanted[0].path, ranges, if_match=wanted[0].if_match))
            version.check(result.head)
            return result.contents
        except StorageError as error:
            if not isinstance(error, (TransientError, UnsupportedError)) and error.status != NOT_SATISFIABLE:
                raise
    return [await read_part(context, part) for part in wanted]
