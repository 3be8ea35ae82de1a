"""Clients of the services, for their tests."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import quote

import requests

from ctadata_providers.testing import FakeCta, Fault


def twice(path: str) -> str:
    """Encode a path as the services need it."""
    return quote(quote(path)).replace("..", "%252e%252e")


@dataclass
class Service:
    """Sends single requests to the services and follows nothing."""

    cta: FakeCta
    session: requests.Session
    token: str | None = field(default="")

    def __call__(
        self, method: str, path: str, headers: dict[str, str] | None = None, **more: object
    ) -> requests.Response:
        """Ask the downloadservice; the path is sent as it is."""
        return self.at(method, self.cta.service_url + path, headers, **more)

    def certificates(
        self, method: str, path: str, headers: dict[str, str] | None = None, **more: object
    ) -> requests.Response:
        """Ask the certificateservice."""
        return self.at(method, self.cta.certificate_service_url + path, headers, **more)

    def hub(self, method: str, path: str, headers: dict[str, str] | None = None, **more: object) -> requests.Response:
        """Ask the hub."""
        return self.at(method, self.cta.hub_url + path, headers, **more)

    def at(self, method: str, url: str, headers: dict[str, str] | None = None, **more: object) -> requests.Response:
        sent = dict(headers or {})
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token or self.cta.hub_token}")
        # A URL of requests' own making would be encoded anew.
        prepared = self.session.prepare_request(requests.Request(method, "https://x/", headers=sent, **more))
        prepared.url = url
        return self.session.send(prepared, allow_redirects=False, timeout=10, verify=str(self.cta.ca_file))

    def of(self, token: str | None) -> "Service":
        """The same with another token, None for none."""
        return Service(self.cta, self.session, token)


class asking:  # noqa: N801 - used like a function
    """A `Service` of some FakeCta, as a context manager."""

    def __init__(self, cta: FakeCta) -> None:
        self.cta = cta
        self.session = requests.Session()
        self.session.trust_env = False

    def __enter__(self) -> Service:
        return Service(self.cta, self.session)

    def __exit__(self, *_: object) -> None:
        self.session.close()


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Crowd:
    """Clients that ask at the same time, each on a connection of its own."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def ask(
        self, cta: FakeCta, method: str, path: str, *, token: str | None = None, timeout: float = 10, **more: object
    ) -> "Future[requests.Response]":
        def send() -> requests.Response:
            with requests.Session() as session:
                session.trust_env = False
                return session.request(
                    method,
                    cta.service_url + path,
                    headers={"Authorization": f"Bearer {token or cta.hub_token}"},
                    verify=str(cta.ca_file),
                    allow_redirects=False,
                    timeout=timeout,
                    **more,
                )

        return self._pool.submit(send)


def struck(fault: Fault, times: int) -> None:
    """Wait until a fault has struck so often."""
    until(lambda: fault.hits >= times)


def until(happened: Callable[[], bool]) -> None:
    """Wait for what a server does in its own time."""
    waited = threading.Event()
    for _ in range(1000):
        if happened():
            return
        waited.wait(0.01)
    raise AssertionError("it never happens")
