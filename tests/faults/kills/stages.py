"""A door that gives and takes at a pace, local folders, and what must be where before and after a kill."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ctadata_providers.transfer import is_part
from tests.faults import acts, children
from tests.faults.kills.processes import Commands, Death
from tests.faults.ranges import found
from tests.faults.scripted import Door, Exchange

PIECE = 1 << 16
PACE = 0.002
"""Seconds from one piece to the next: a transfer lasts long enough to be hit."""
LARGE, HUGE, LEAF, LEAVES = 4 << 20, 12 << 20, 40_000, 60
FILE = "/night/events.fits"
RESUMED_FROM = 1 << 20


@dataclass(frozen=True)
class Kind:
    """A command that moves files.

    Attributes:
        argv: The command; `LOCAL` stands for the local folder.
        sizes: Bytes by name, of the files that it moves.
        is_down: Whether it downloads.
        again: Bytes that the next run may move beside those that are missing.
        environ: More of its environment.
        renames: Whether the server does.
    """

    argv: tuple[str, ...]
    sizes: Mapping[str, int]
    is_down: bool
    again: int
    environ: Mapping[str, str] = field(default_factory=dict)
    renames: bool = True

    @property
    def size(self) -> int:
        return sum(self.sizes.values())


_TREE = {**{f"{number:02}.fits": LEAF for number in range(LEAVES)}, "large.fits": LARGE}
_ONE = {"events.fits": LARGE}
KINDS = {
    "get": Kind(("get", FILE, "LOCAL/events.fits"), _ONE, True, 2 * PIECE),
    "get in three streams": Kind(
        ("get", FILE, "LOCAL/events.fits"), {"events.fits": HUGE}, True, 8 * PIECE, {"CTA_STREAMS": "3"}
    ),
    "sync down": Kind(("sync", "cta://night", "LOCAL"), _TREE, True, 2 * PIECE),
    "put": Kind(("put", "LOCAL/events.fits", FILE), _ONE, False, 0),
    "put without rename": Kind(("put", "LOCAL/events.fits", FILE), _ONE, False, LARGE, renames=False),
    "sync up": Kind(("sync", "LOCAL", "cta://night"), _TREE, False, 0),
}


class Place(Protocol):
    """Where a command is killed and run again: the scripted door, or a real server."""

    kind: Kind
    argv: list[str]

    def mark(self) -> int:
        """Return a number that stands for now."""

    def moved(self, since: int) -> int:
        """Return the bytes of files that passed in the requests after a mark, as far as the server tells."""

    def missing(self) -> int:
        """Return the bytes that the next run must move: those of the targets that are neither whole nor begun."""

    def prepare(self) -> None:
        """Put the new files where they come from, and an old one where they go."""

    def check_killed(self) -> None:
        """Check what a kill has left: every target is old, whole or absent."""

    def check_whole(self) -> None:
        """Check that every target is whole, and nothing else is there."""


def give(exchange: Exchange) -> None:
    """Send a file piece by piece."""
    if exchange.asked.path not in exchange.door.files:
        exchange.answer(404)
        return
    status, headers, body = found(exchange)
    exchange.head(status, f"Content-Length: {len(body)}", *headers)
    for start in range(0, len(body), PIECE):
        exchange.body(body[start : start + PIECE])
        exchange.wait_until_taken()
        exchange.door.stopping.wait(PACE)


def take(exchange: Exchange) -> None:
    """Store what has come so far, as XRootD does: a broken upload stays, until somebody removes it."""
    exchange.invite()
    files, path = exchange.door.files, exchange.asked.path
    body = bytearray()
    files[path] = b""
    for chunk in exchange.chunks():
        body += chunk
        if len(body) % PIECE < len(chunk):
            exchange.door.stopping.wait(PACE)
            if path in files:  # what was removed meanwhile does not come back
                files[path] = bytes(body)
    if path in files:
        files[path] = bytes(body)
    exchange.answer(201)


class Stage:
    """Where one kind of command is killed and run again.

    Attributes:
        door: The server.
        kind: The command.
        folder: The local folder.
        payloads: The new files by name.
    """

    def __init__(self, kind: Kind, door: Door, root: Path, ca: Path, seed: int = 0) -> None:
        self.kind, self.door = kind, door
        self.folder = root / "local"
        self.folder.mkdir()
        self._state = root / "state"
        made = random.Random(seed)
        self.payloads = {name: made.randbytes(size) for name, size in kind.sizes.items()}
        self.environ = {
            "CTA_DOOR_URL": door.url,
            "CTA_CA_PATH": str(ca),
            "CTA_RETRIES": "3",
            "XDG_STATE_HOME": str(self._state),
            **kind.environ,
        }
        self.argv = [part.replace("LOCAL", str(self.folder)) for part in kind.argv]
        door.fault("GET", give)
        door.fault("PUT", take)
        if not kind.renames:
            door.fault("MOVE", acts.status(405))

    def prepare(self) -> None:
        """Put the new files where they come from, and an old one where they go."""
        for file in self.folder.iterdir():
            file.unlink()
        self.door.files.clear()
        self.door.folders.add("/night")
        self.door.asked.clear()
        self.old = {next(iter(self.payloads)): b"old one"}
        here, there = (self.old, self.payloads) if self.kind.is_down else (self.payloads, self.old)
        for name, data in here.items():
            (self.folder / name).write_bytes(data)
        self.door.files.update({f"/night/{name}": data for name, data in there.items()})

    def mark(self) -> int:
        """Return a number that stands for now; what a dead process has asked for has ended then."""
        children.wait_until(lambda: not self.door.is_open)
        return len(self.door.asked)

    def moved(self, since: int) -> int:
        """Return the bytes of files that passed in the requests after a mark."""
        asked = self.door.asked[since:]
        return sum(one.sent for one in asked if one.method == "GET") + sum(
            one.received for one in asked if one.method == "PUT"
        )

    def missing(self) -> int:
        """Return the bytes that the next run must move: those of the targets that are neither whole nor begun."""
        arrived = self.arrived()
        whole = {name for name, data in self.payloads.items() if arrived.get(name) == data}
        if self.argv[0] != "sync":
            whole = set()  # as cp does, get and put copy again what is whole already
        return sum(
            len(data) - min(self._begun(name), len(data)) for name, data in self.payloads.items() if name not in whole
        )

    def _begun(self, name: str) -> int:
        """Return the bytes on the disk that a download goes on with."""
        if not self.kind.is_down or len(self.payloads[name]) < RESUMED_FROM:
            return 0
        return on_disk(self.folder, name)

    def wait_for(self, size: int) -> None:
        """Wait until so many bytes have moved."""
        children.wait_until(lambda: self.moved(0) >= size)

    def arrived(self) -> dict[str, bytes]:
        """Return what is at the targets, hidden names too."""
        if self.kind.is_down:
            return {file.name: file.read_bytes() for file in self.folder.iterdir()}
        return {path.removeprefix("/night/"): data for path, data in list(self.door.files.items())}

    def notes(self) -> list[str]:
        """Return what is remembered of uploads."""
        return [note.read_text() for note in (self._state / "ctadata-providers" / "uploads").glob("*.json")]

    def check_killed(self) -> None:
        """Check what a kill has left: every target is old, whole or absent, and what is hidden is remembered."""
        for name, data in self.arrived().items():
            if is_part(name):
                assert self.kind.is_down or any(name in note for note in self.notes()), name
            elif self.kind.renames:
                assert data in (self.old.get(name), self.payloads[name]), name

    def check_whole(self) -> None:
        """Check that every target is whole, and nothing else is there.

        What was renamed when its process was killed may be noted still: `sync` finds it whole, and uploads nothing.
        """
        arrived = self.arrived()

        assert sorted(arrived) == sorted(self.payloads)
        assert arrived == self.payloads
        assert self.notes() == [] or self.argv[0] == "sync"


@contextmanager
def staged(name: str, root: Path, ca: Path) -> Iterator[tuple[Stage, Commands, float]]:
    """Yield a stage, the commands on it, and how long one takes that nobody disturbs."""
    with Door(ranges=True, checksums=True) as door:
        root.mkdir()
        stage = Stage(KINDS[name], door, root, ca)
        with Commands(stage.environ, root / "log") as commands:
            seconds = []
            for _ in range(2):  # the first one is slower
                stage.prepare()
                begun = time.monotonic()
                commands.run(stage.argv)
                seconds.append(time.monotonic() - begun)
                stage.check_whole()
            yield stage, commands, seconds[-1]


def on_disk(folder: Path, name: str) -> int:
    """Return the bytes on the disk of the part of a target with the most; what was skipped takes no space there."""
    parts = [place for place in folder.iterdir() if is_part(place.name) and place.name.startswith(f".{name}.")]
    return max((place.stat().st_blocks * 512 for place in parts), default=0)


def die(stage: Place, commands: Commands, *, dies: Sequence[Death] = (), at: Callable[[], object] | None = None) -> int:
    """Run the command until it is killed; return how it ended.

    Args:
        stage: Where.
        commands: What runs it.
        dies: Where it dies by its own hand.
        at: Returns when it is to be killed.
    """
    commands.start(stage.argv, dies=dies)
    if at is not None:
        at()
        commands.kill()
    code = commands.wait()
    stage.check_killed()
    return code
