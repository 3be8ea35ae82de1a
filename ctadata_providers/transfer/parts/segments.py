"""Which bytes of a file are there, which are on their way, and which are still to be asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ctadata_providers.checksum import adler32_combine

SMALLEST_PIECE = 2 * 1024 * 1024
"""Bytes below which a piece is not worth a request of its own."""


@dataclass(slots=True, eq=False)
class Segment:
    """A row of bytes, filled from its start.

    Attributes:
        start: Its first byte.
        end: The byte behind its last.
        pos: The first byte that is missing.
        adler: Adler32 of what is there.
        taken: Whether a stream fills it.
        limit: How far the answer that fills it reaches.
        row: Its row in the sidecar.
        told: How far the sidecar has been told.
        gathered: What has arrived beyond `pos` and is not written yet.
        pending: Bytes of it.
        due: Time of the monotonic clock after which it does not wait for more.
    """

    start: int
    end: int
    pos: int
    adler: int = 1
    taken: bool = False
    limit: int = 0
    row: int = 0
    told: int = 0
    gathered: list[bytes] = field(default_factory=list)
    pending: int = 0
    due: float = 0.0

    @property
    def missing(self) -> int:
        """Bytes that are still to come."""
        return self.end - self.pos


@dataclass(slots=True)
class Segments:
    """All bytes of a file, in order; not guarded against several threads.

    Attributes:
        size: Bytes of the file.
        parts: The segments.
        rows: Rows that have ever been used.
    """

    size: int
    parts: list[Segment] = field(default_factory=list)
    rows: int = 0

    @classmethod
    def of(cls, size: int, there: Sequence[tuple[int, int, int]] = ()) -> "Segments":
        """Return the segments of a file.

        Args:
            size: Bytes of it.
            there: Start, end and adler32 of what is there, in order; none touches another.
        """
        known = cls(size)
        starts = [start for start, _, _ in there]
        if not starts or starts[0] > 0:
            there = [(0, 0, 1), *there]
            starts = [0, *starts]
        for (start, stop, adler), end in zip(there, [*starts[1:], size], strict=True):
            known.parts.append(Segment(start, end, stop, adler, row=known.new_row(), told=stop))
        return known

    @property
    def received(self) -> int:
        """Bytes that are there."""
        return sum(part.pos - part.start for part in self.parts)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return all(part.pos == part.end for part in self.parts)

    @property
    def prefix(self) -> int:
        """Bytes that are there without a gap from the first on."""
        for part in self.parts:
            if part.pos < part.end:
                return part.pos
        return self.size

    @property
    def adler(self) -> int:
        """Adler32 of the whole file, when nothing is missing."""
        value = 1
        for part in self.parts:
            value = adler32_combine(value, part.adler, part.end - part.start)
        return value

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """What is there, in order."""
        return [(part.start, part.pos) for part in self.parts if part.pos > part.start]

    def idle(self) -> Segment | None:
        """Return the first one that nobody fills, None when there is none."""
        return next((part for part in self.parts if not part.taken and part.pos < part.end), None)

    def split(self, smallest: int = SMALLEST_PIECE) -> Segment | None:
        """Return the second half of what the one with most before it has still to get, None when that is too little."""
        if not self.parts:
            return None
        victim = max(self.parts, key=lambda part: part.missing)
        if victim.missing < 2 * smallest:
            return None
        middle = victim.pos + victim.missing // 2
        piece = Segment(middle, victim.end, middle, row=self.new_row(), told=middle)
        victim.end = middle
        self.parts.insert(self.parts.index(victim) + 1, piece)
        return piece

    def give_back(self) -> None:
        """Let streams go on into pieces behind their segments that nobody fills, still empty, if their answers do."""
        left: list[Segment] = []
        for piece in self.parts:
            before = left[-1] if left else None
            empty = not piece.taken and piece.pos == piece.start
            # One that is full has just been told to stop.
            goes_on = before is not None and before.taken and before.pos < before.end and before.limit >= piece.end
            if before is not None and empty and goes_on:
                before.end = piece.end
            else:
                left.append(piece)
        self.parts = left

    def new_row(self) -> int:
        """Return the number of a new row."""
        self.rows += 1
        return self.rows - 1
