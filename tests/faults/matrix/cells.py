"""What a cell of the matrix is: a fault, a way that bytes go, and how it must end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from ctadata_providers import CtaError

if TYPE_CHECKING:
    from tests.faults.matrix.scene import Scene

FOREVER = 1_000_000


class Way(Enum):
    """How bytes go; the value is the title of its column."""

    DOWN = "download, small"
    LARGE_DOWN = "download, large"
    TREE_DOWN = "download, tree"
    UP = "upload, small"
    LARGE_UP = "upload, large"
    DIRECT_UP = "upload, no rename"

    @property
    def is_down(self) -> bool:
        return "download" in self.value


Left = Literal["old", "part", "nothing"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a transfer ends.

    Attributes:
        error: The class of its error, None when it succeeds.
        left: What of an error is at the target: the old file; the old file and a part beside it, with which the next
            run goes on; nothing.
        resumed: Whether no byte is sent twice, of one that succeeds.
        noticed: Whether it was told; wrong bytes without a checksum are not.
    """

    error: type[CtaError] | None = None
    left: Left = "old"
    resumed: bool = False
    noticed: bool = True

    def __str__(self) -> str:
        if not self.noticed:
            return "not seen"
        if self.error is None:
            return "whole, goes on" if self.resumed else "whole"
        return f"`{self.error.__name__}`" + {"old": "", "part": ", part kept", "nothing": ", old file lost"}[self.left]


WHOLE = Outcome()
GOES_ON = Outcome(resumed=True)
NOT_SEEN = Outcome(noticed=False)


def fails(error: type[CtaError], left: Left = "old") -> Outcome:
    """Return the end with an error."""
    return Outcome(error=error, left=left)


Ends = tuple[Outcome | None, Outcome | None]
"""What comes of a fault that passes, and of one that stays; None where there is no such thing."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault, and what comes of it in every kind of transfer.

    Attributes:
        fault: What it is, for the table.
        install: Puts it into a scene, a number of times; None for one that other tests make.
        ends: By way; a way that is missing cannot meet the fault.
        door: How the server differs.
        settings: How the client's differ from those of the scene.
        waits: Seconds that must have been waited before a retry.
        tried: Where it is tried, when it is not here.
    """

    fault: str
    install: "Callable[[Scene, int], None] | None" = None
    ends: Mapping[Way, Ends]
    door: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    waits: float = 0.0
    tried: str = ""


def ends(
    down: Ends | None = None,
    up: Ends | None = None,
    *,
    large: Ends | None = None,
    tree: Ends | None = None,
    big: Ends | None = None,
    direct: Ends | None = None,
) -> dict[Way, Ends]:
    """Return ends by way: those of a small file are those of the others, unless they are given."""
    found = {
        Way.DOWN: down,
        Way.LARGE_DOWN: large or down,
        Way.TREE_DOWN: tree or down,
        Way.UP: up,
        Way.LARGE_UP: big or up,
        Way.DIRECT_UP: direct or up,
    }
    return {way: pair for way, pair in found.items() if pair is not None}


@dataclass(frozen=True)
class Cell:
    """One test.

    Attributes:
        row: The fault.
        way: The kind of transfer.
        times: How often the fault strikes.
        outcome: What must come of it.
    """

    row: Row
    way: Way
    times: int
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.row.fault}, {'once' if self.times == 1 else 'always'}-{self.way.value}"


def cells_of(rows: tuple[Row, ...], ways: tuple[Way, ...]) -> list[Cell]:
    """Return the tests of some ways."""
    return [
        Cell(row, way, times, outcome)
        for row in rows
        for way in ways
        for times, outcome in zip((1, FOREVER), row.ends.get(way, (None, None)), strict=True)
        if outcome is not None and row.install is not None
    ]
