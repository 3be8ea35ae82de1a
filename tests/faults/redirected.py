"""One request, several servers that send it on to each other, and what each of them has really received."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from ctadata_providers import Config
from ctadata_providers.session import Request, Response, Session
from ctadata_providers.session.tasks import run
from tests.faults.pki import make_pki
from tests.faults.scripted import Asked, Door, Exchange

TOKEN = "an-opaque-token-0123456789"
COOKIE = "cookie-0123456789"
PATH = "/night/events.fits"
BODY = b"bytes of an upload" * 1000
METHODS = ("GET", "PUT", "PUT, Expect", "HEAD", "PROPFIND", "MKCOL", "MOVE", "DELETE")
CREDENTIALS = ("token", "certificate", "none")


class Body:
    """The bytes of an upload."""

    def __init__(self) -> None:
        self._sent = 0

    def read(self, size: int, /) -> bytes:
        data = BODY[self._sent : self._sent + size]
        self._sent += len(data)
        return data

    def rewind(self) -> None:
        self._sent = 0


@dataclass
class Servers:
    """The door, another server, and one without TLS, all following one script; a context manager.

    `alias` is the door's port under another name of its host, `host` and `pool` are the other server under others of
    its names.

    Attributes:
        locations: What is answered to the first request, the second, and so on; after the last comes a success.
            None is no Location at all, a tuple are several.
        software: What the servers say that they are.
        answered: The name by which each request came, and the request.
    """

    locations: tuple[str | tuple[str, ...] | None, ...]
    software: str = "scripted"
    answered: list[tuple[str, Asked]] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        doors = [self._stack.enter_context(Door(tls=tls, server=self.software)) for tls in (True, True, False)]
        self.door, self.other, self.plain = doors
        for door in doors:
            for method in {name.partition(",")[0] for name in METHODS}:
                door.fault(method, self._next)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def urls(self) -> dict[str, str]:
        return {
            "door": self.door.url,
            "other": self.other.url,
            "plain": self.plain.url,
            "alias": self.door.at("127.0.0.1"),
            "host": self.other.at("127.0.0.1"),
            "pool": self.other.at("pool.localhost"),
        }

    def asked(self, credential: str) -> str:
        """Return who was asked, and for each `+` when it saw the credential and `-` when it did not."""
        return " ".join(f"{name}{'+' if _saw(asked, credential) else '-'}" for name, asked in self.answered)

    def _next(self, exchange: Exchange) -> None:
        number, asked = len(self.answered), exchange.asked
        place = f"{'https' if exchange.door.tls else 'http'}://{asked.headers['host'].lower()}"
        name = {url: name for name, url in self.urls.items()}[place]
        self.answered.append((name, asked))
        if number < len(self.locations):
            exchange.answer(307, f"Set-Cookie: session={COOKIE}; Path=/", *self._location(number))
        else:
            exchange.invite()
            for _ in exchange.chunks():
                pass
            exchange.answer(200)

    def _location(self, number: int) -> list[str]:
        location = self.locations[number]
        several = (location,) if isinstance(location, str) else location or ()
        capitals = {name.upper(): url.upper() for name, url in self.urls.items()}
        known = {**self.urls, **capitals, "token": TOKEN, "port": str(self.door.port)}
        return [f"Location: {one.format(**known)}" for one in several]


def _saw(asked: Asked, credential: str) -> bool:
    if credential == "none":
        return False
    return asked.certificate if credential == "certificate" else asked.headers.get("authorization") == f"Bearer {TOKEN}"


def assert_nothing_else(servers: Servers, credential: str, signed: str = "") -> None:
    """Check that no server has seen a credential in any other way than as it should."""
    for name, asked in servers.answered:
        lines = asked.head.split("\r\n")
        if credential == "token" and f"Authorization: Bearer {TOKEN}" in lines:
            lines.remove(f"Authorization: Bearer {TOKEN}")
        names = {line.partition(":")[0].lower() for line in lines}

        assert TOKEN not in "".join(lines), name
        assert not {"authorization", "cookie", "referer", "proxy-authorization"} & names, name
        assert asked.certificate <= (credential == "certificate"), name
        assert asked.query in ("", signed), name


@pytest.fixture
def names_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pool.localhost` is this machine for Python too, as it is for libcurl."""
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host == "pool.localhost" else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture
def ask(ca: Path, tmp_path: Path, names_resolve: None) -> Iterator[Callable[..., Response]]:
    """Send one request of a method with a credential to the door."""
    user = tmp_path / "user.pem"
    user.write_bytes(make_pki().user_pem)
    user.chmod(0o600)
    given = {"token": {"token": TOKEN}, "certificate": {"cert_file": user}, "none": {}}
    with ExitStack() as stack:

        def send(servers: Servers, method: str, credential: str, settings: Mapping[str, Any]) -> Response:
            config = Config(door_url=servers.door.url, ca_path=ca, retries=0, **given[credential], **settings)
            session = Session(config)
            stack.callback(session.close)
            return _sent(session, method, servers.door.url)

        yield send


def _sent(session: Session, method: str, door: str) -> Response:
    verb, _, expect = method.partition(", ")
    what: dict[str, Any] = {"method": verb, "url": door + PATH, "path": PATH, "act": "try"}
    if verb == "GET":
        return run(session.exchange(Request(**what, accept=lambda _: lambda _: None)))
    if verb == "PUT":
        upload = Request(**what, source=Body(), size=len(BODY), expect=bool(expect), expect_wait=2.0)
        return run(session.exchange(upload))
    headers = {"Destination": f"{door}/new"} if verb == "MOVE" else {}
    return session.message(Request(**what, headers=headers, body=b"<x/>" if verb == "PROPFIND" else None))
