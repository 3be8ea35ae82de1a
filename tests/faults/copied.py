"""Two scripted doors that copy from each other, and how they tell of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from ctadata_providers import CopyResult, CtaClient
from tests.faults.scripted import Act, Door, Exchange

HERE, THERE = "source-token-0123456789", "an-opaque-token-of-the-target"
PATH, COPY = "/night/events.fits", "/copies/events.fits"
MARKER = "Perf Marker\n    Timestamp: 1\n    Stripe Index: 0\n    Stripe Bytes Transferred: {}\nEnd\n"


@dataclass
class Pair:
    """A source with one file and a target with one folder, and a client of each."""

    source: Door
    target: Door
    here: CtaClient
    there: CtaClient
    payload: bytes

    def copy(self, **options: Any) -> CopyResult:
        return self.here.copy(PATH, COPY, to=self.there, **options)

    def left(self) -> dict[str, bytes]:
        """What the target holds beside what it had."""
        return {path: data for path, data in self.target.files.items() if path != "/copies/other"}

    def pulls(self, *, data: bytes | None = None, tail: str = "success: Created\n", code: int = 202) -> Act:
        """The target's part: store the file, or other data, and tell."""
        stored = self.payload if data is None else data

        def act(exchange: Exchange) -> None:
            source = unquote(urlsplit(exchange.asked.headers["source"]).path)
            assert source == PATH
            exchange.door.files[exchange.asked.path] = stored
            tell(exchange, MARKER.format(len(stored)) + tail, code)

        return act

    def pushes(self, tail: str = "success: Created\n") -> Act:
        """The source's part: store the file at the target, and tell."""

        def act(exchange: Exchange) -> None:
            self.target.files[unquote(urlsplit(exchange.asked.headers["destination"]).path)] = self.payload
            tell(exchange, tail)

        return act


def tell(exchange: Exchange, text: str, code: int = 202) -> None:
    exchange.head(code, "Transfer-Encoding: chunked")
    for line in text.encode().splitlines(keepends=True):
        exchange.send(b"%x\r\n%b\r\n" % (len(line), line))
    exchange.send(b"0\r\n\r\n")


def say(text: str, code: int = 202) -> Act:
    """Tell something about a copy that does not happen."""
    return lambda exchange: tell(exchange, text, code)


def cut(text: str) -> Act:
    """Tell something and close, in good order but for the end of the chunks."""

    def act(exchange: Exchange) -> None:
        exchange.head(202, "Transfer-Encoding: chunked")
        exchange.send(b"%x\r\n%b\r\n" % (len(text), text.encode()))
        exchange.end()

    return act


def fall_silent(text: str) -> Act:
    def act(exchange: Exchange) -> None:
        exchange.head(202, "Transfer-Encoding: chunked")
        exchange.send(b"%x\r\n%b\r\n" % (len(text), text.encode()))
        exchange.stall()

    return act


def leave_a_part(then: Act) -> Act:
    """Make an empty file, as XRootD does at once."""

    def act(exchange: Exchange) -> None:
        exchange.door.files[exchange.asked.path] = b""
        then(exchange)

    return act


@pytest.fixture
def pair(open_door: Callable[..., Door], client_of: Callable[..., CtaClient], payload: bytes) -> Pair:
    source = open_door(files={PATH: payload}, checksums=True, server="XrootD/v5.8.1")
    target = open_door(files={"/copies/other": b"other"}, folders={"/copies"}, checksums=True, server="XrootD/v5.8.1")
    how: dict[str, Any] = {"copy_hosts": ("localhost",), "timeout": 0.5, "retries": 1}
    here, there = client_of(source, token=HERE, **how), client_of(target, token=THERE, **how)
    return Pair(source, target, here, there, payload)
