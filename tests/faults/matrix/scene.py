"""Where a cell is played: a door, a client, an old file at the target, and a new one that is to replace it."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import ctadata_providers.session
import ctadata_providers.transfer.context
from ctadata_providers import CtaClient, CtaError
from ctadata_providers.errors import TransientError
from ctadata_providers.retry import RetryPolicy
from ctadata_providers.transfer import is_part
from ctadata_providers.transfer.notes import noted
from tests.faults import acts
from tests.faults.matrix.cells import Cell, Way
from tests.faults.scripted import Door

PATH = "/night/events.fits"
TREE = [f"/night/{number:02}.fits" for number in range(12)]
SMALL, LARGE, LEAF = 200_000, 3 << 20, 20_000
SIZES = {Way.LARGE_DOWN: LARGE, Way.LARGE_UP: LARGE, Way.TREE_DOWN: LEAF}
OLD = b"old one"
AGAIN = 64 << 10
"""Bytes that a download which goes on may ask for once more."""


class Hurried(RetryPolicy):
    """The policy as it is, except that a wait is noted, and cut short."""

    waits: list[float]

    def delay(self, attempt: int, error: TransientError) -> float | None:
        """Return the cut wait."""
        found = super().delay(attempt, error)
        if found is None:
            return None
        self.waits.append(found)
        return min(found, 0.3)


class Scene:
    """One cell on its way.

    Attributes:
        way: The kind of transfer.
        strikes_one: Whether a fault strikes that path, and not all.
        struck: The remote path that a fault strikes, None for any: an upload's temporary name is not known.
        payload: The new bytes.
        old: The bytes at the target before.
        target: The local end.
        root: A folder of the test.
        begin: What happens when the client knows the server, before the transfer.
        checks: What more must be right in the end.
    """

    def __init__(self, cell: Cell, root: Path, ca: Path, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
        self.cell, self.way, self.root, self.patch, self._stack = cell, cell.way, root, patch, stack
        self._ca = ca
        self.struck = {**dict.fromkeys(Way, PATH), Way.TREE_DOWN: TREE[5], Way.UP: None, Way.LARGE_UP: None}[self.way]
        self.payload = random.Random(11).randbytes(SIZES.get(self.way, SMALL))
        self.old = OLD
        self.strikes_one = False
        self.begin: list[Callable[[], None]] = []
        self.checks: list[Callable[[], None]] = []
        self.waits: list[float] = []
        policy = type("Noting", (Hurried,), {"waits": self.waits})
        for module in (ctadata_providers.session, ctadata_providers.transfer.context):
            patch.setattr(module, "RetryPolicy", partial(policy, first_delay=0.02))
        self.door = self.open_door(ranges=True, **cell.row.door)
        self.target = self._prepare_local()
        self.settings: dict[str, Any] = {
            "retries": 5 if cell.times == 1 else 1,
            "timeout": 1.0,
            "connect_timeout": 2.0,
            **cell.row.settings,
        }
        self.door_url = self.door.url

    def open_door(self, **how: Any) -> Door:
        """Start a server that ends with the test."""
        return self._stack.enter_context(Door(**how))

    def client(self) -> CtaClient:
        """Return a client of the door."""
        return self._stack.enter_context(CtaClient(door_url=self.door_url, ca_path=self._ca, **self.settings))

    @property
    def method(self) -> str:
        return "GET" if self.way.is_down else "PUT"

    @property
    def remote(self) -> str:
        """The remote path that the transfer is about."""
        return "/night" if self.way is Way.TREE_DOWN else PATH

    def fault(self, act: acts.Act, times: int) -> None:
        """Let an act strike the bytes some times."""
        self.strikes_one = self.struck is not None
        self.door.fault(self.method, act, path=self.struck, times=times)

    def _prepare_local(self) -> Path:
        local = self.root / "local"
        local.mkdir()
        if self.way.is_down:
            names = TREE if self.way is Way.TREE_DOWN else [PATH]
            self.door.files.update(dict.fromkeys(names, self.payload))
            target = local / Path(self.struck or "").name
            target.write_bytes(self.old)
            return target
        self.door.files[PATH] = self.old
        self.door.folders.add("/night")
        (local / "source").write_bytes(self.payload)
        return local / "source"

    def meet(self, client: CtaClient) -> None:
        """Let a client know the server: a connection is open, and it is known whether there is a rename."""
        if self.way is Way.DIRECT_UP:
            self.door.fault("MOVE", acts.status(405))
            client.upload(self.target, "/night/first")
            del self.door.files["/night/first"]
        else:
            with suppress(TransientError):
                client.exists("/night")

    def transfer(self, client: CtaClient) -> object:
        """Do what the way says."""
        match self.way:
            case Way.DOWN | Way.LARGE_DOWN:
                return client.download(PATH, self.target)
            case Way.TREE_DOWN:
                return client.download_tree("/night", self.target.parent)
            case _:
                return client.upload(self.target, PATH)

    def attempt(self, client: CtaClient) -> CtaError | None:
        """Try it, and return what went wrong."""
        try:
            self.transfer(client)
        except CtaError as error:
            return error
        return None

    def revive(self, seconds: float) -> None:
        """Start the server again after a while, at the same port and with the same files."""
        again = self._again()
        timer = threading.Timer(seconds, lambda: self._stack.enter_context(again))
        timer.start()
        self._stack.callback(timer.join)

    def _again(self) -> Door:
        again = Door(
            tls=self.door.tls,
            server=self.door.server,
            files=self.door.files,
            folders=self.door.folders,
            ranges=True,
            fixed_port=self.door.port,
            asked=self.door.asked,
        )
        if self.way is Way.DIRECT_UP:
            again.fault("MOVE", acts.status(405))
        return again

    def mend(self) -> None:
        """Let all be right from now on."""
        if self.door.stopping.is_set():
            self._stack.enter_context(self._again())
        if "token_file" in self.settings:
            Path(self.settings["token_file"]).write_text("third-token-0123456789")
        self.door.mend()

    # What is there in the end.

    def arrived(self) -> bytes:
        """Return what stands at the target."""
        if self.way.is_down:
            return self.target.read_bytes()
        return self.door.files.get(PATH, b"")

    def left_locally(self) -> list[str]:
        """Return what a download has left beside its targets."""
        names = {Path(path).name for path in TREE} if self.way is Way.TREE_DOWN else {self.target.name}
        return sorted(place.name for place in self.target.parent.iterdir() if place.name not in names)

    def others(self) -> list[Path]:
        """Return the other files of a tree."""
        return [place for place in self.target.parent.iterdir() if place != self.target]

    def forgotten(self) -> list[str]:
        """Return the temporary names at the server that nobody remembers."""
        known = {name.path for name in noted(self.door_url + "/")}
        return [path for path in self.door.files if is_part(path.rpartition("/")[2]) and path not in known]

    def sent(self) -> int:
        """Return the bytes of files that the server has sent so far."""
        return sum(asked.sent for asked in self.door.requests("GET") if self.struck in (None, asked.path))


def seconds_of(act: Callable[[], object]) -> float:
    """Return how long something takes."""
    begun = time.monotonic()
    act()
    return time.monotonic() - begun
