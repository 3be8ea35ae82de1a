import itertools
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import requests

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.oidc import Oidc


@dataclass
class Asker:
    """Sends single requests to a FakeCta and follows nothing."""

    cta: FakeCta
    session: requests.Session

    def __call__(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        data: bytes | None = None,
        token: str | None = "",
        query: str = "",
    ) -> requests.Response:
        """Ask the door with a token: the full one by default, None for none."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.cta.token}"
        return self.at(method, f"{self.cta.door_url}{quote(path)}{query}", sent, data=data)

    def at(
        self, method: str, url: str, headers: dict[str, str] | None = None, *, data: bytes | None = None
    ) -> requests.Response:
        """Ask any URL, without a credential."""
        return self.session.request(
            method, url, headers=headers, data=data, allow_redirects=False, timeout=10, auth=lambda request: request
        )

    def redirected(self, method: str, path: str, headers: dict[str, str] | None = None) -> str:
        """Return the pool's URL to which the door redirects a GET or a PUT."""
        if method == "GET":
            answer = self("GET", path, headers)
            assert answer.status_code == 302
            return answer.headers["Location"]
        with Wire(self.cta, self.cta.door_url) as wire:
            wire.send(
                f"PUT {quote(path)} HTTP/1.1",
                f"Authorization: Bearer {self.cta.token}",
                "Expect: 100-continue",
                "Content-Length: 5",
                *(f"{name}: {value}" for name, value in (headers or {}).items()),
            )
            status, found, _ = wire.receive()
            assert status.startswith("HTTP/1.1 307 ")
            return found["location"]


class Wire:
    """A connection on which a test says exactly what is sent."""

    def __init__(self, cta: FakeCta, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        plain = socket.create_connection(("127.0.0.1", parts.port), timeout=10)
        if cta.ca_file is None:
            self.socket = plain
        else:
            context = ssl.create_default_context(cafile=str(cta.ca_file))
            self.socket = context.wrap_socket(plain, server_hostname=parts.hostname)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, *lines: str, body: bytes = b"") -> None:
        """Send a request head with a Host header, and a body right behind it."""
        head = "\r\n".join([lines[0], f"Host: {self.host}", *lines[1:], "", ""])
        self.socket.sendall(head.encode() + body)

    def receive(self, length: int | None = None) -> tuple[str, dict[str, str], bytes]:
        """Return status line, headers by lower-case name, and body of the next answer, or the begin of it."""
        status = self.file.readline().decode().strip()
        headers = {}
        while line := self.file.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        return status, headers, self.file.read(int(headers.get("content-length", "0")) if length is None else length)

    def is_closed(self) -> bool:
        """Wait for the server's end of the connection, or for more from it."""
        return self.file.read(1) == b""


class LeapingClock:
    """A clock that goes on by so many seconds with each look: who waits by it waits for a few looks only."""

    def __init__(self, step: float) -> None:
        self._looks = itertools.count(step=step)

    def __call__(self) -> float:
        return next(self._looks)


@pytest.fixture
def ask(fake_cta: FakeCta) -> Iterator[Asker]:
    with asking(fake_cta) as asker:
        yield asker


class asking:  # noqa: N801 - used like a function
    """An `Asker` for some FakeCta, as a context manager."""

    def __init__(self, cta: FakeCta) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(cta.ca_file) if cta.ca_file else True
        self.cta = cta

    def __enter__(self) -> Asker:
        return Asker(self.cta, self.session)

    def __exit__(self, *_: object) -> None:
        self.session.close()


@pytest.fixture
def big_file(tmp_path: Path) -> Path:
    """5 MB that do not repeat in any simple way."""
    import random

    file = tmp_path / "big"
    file.write_bytes(random.Random(7).randbytes(5_000_000))
    return file


@pytest.fixture
def oidc(fake_cta: FakeCta) -> Iterator[Oidc]:
    """A public client of the issuer, whose polls are never too fast."""
    fake_cta.issuer.configure(interval=0)
    with Oidc(fake_cta) as client:
        yield client
