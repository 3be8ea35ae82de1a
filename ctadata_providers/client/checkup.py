"""What lies between us and the files, looked at step by step: TLS, credential, scopes, listing, latency."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from ctadata_providers.backends import open_backend
from ctadata_providers.backends.services.hub import hub_user, missing_scope
from ctadata_providers.client.connection import Connection
from ctadata_providers.config import Config
from ctadata_providers.credentials.hub import new_token
from ctadata_providers.credentials.resolve import DEFAULT_PORTS
from ctadata_providers.errors import CredentialError, CtaError, StorageError, TransientError
from ctadata_providers.transport.proxies import proxy_for
from ctadata_providers.transport.trust import check_ca_path, ssl_context

Name = Literal["tls", "credential", "scopes", "listing", "latency"]
State = Literal["good", "bad", "skipped"]
if TYPE_CHECKING:
    from ctadata_providers.credentials.survey import Report

ASKED = 3
"""How often the door is asked for its latency; the best counts."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step, and how it went.

    Attributes:
        name: What was looked at.
        state: Whether that is good, or could not be looked at.
        told: What was found, or went wrong and what to do; no secret is in it.
        error: What went wrong, if anything.
    """

    name: Name
    state: State
    told: str
    error: CtaError | None = None


class Checking(Connection):
    """A storage of which one wants to know whether it can be reached."""

    def check(self, path: str = "/") -> Iterator[Step]:
        """Look at all that a request needs, one step after the other; a step that fails is one that tells so.

        Nothing is tried again. The door is asked for one folder, up to its first entry, and then a few times about it.

        Args:
            path: The folder to list.

        Raises:
            ConfigError: When the settings or the path cannot be used.
        """
        return check(self.config.with_settings(retries=0), self._path(path))


def check(config: Config, path: str) -> Iterator[Step]:
    """Give the steps for some settings; see `Checking.check`."""
    from ctadata_providers.credentials.survey import report  # seldom wanted: every client would load it

    if config.backend == "memory":
        yield Step("tls", "skipped", "there is no server: the files are in the memory of the process")
    else:
        yield _tried("tls", lambda: _tls(config))
    if config.backend == "downloadservice":
        yield from _of_hub(config)
    else:
        known = report(config)
        yield _credential(known)
        yield _scopes(known)
    backend = open_backend(config)
    try:
        listing = _tried("listing", lambda: _list(config, backend.list_dir, path))
        yield listing
        if listing.state == "good":
            yield _tried("latency", lambda: _latency(lambda: backend.stat(path)))
        else:
            yield Step("latency", "skipped", "not asked for")
    finally:
        backend.close()


def _tried(name: Name, act: Callable[[], str]) -> Step:
    try:
        return Step(name, "good", act())
    except CtaError as error:
        return Step(name, "bad", str(error), error)


def home_of(config: Config) -> str:
    """Return the URL of the server that the settings lead to."""
    return (config.service_url or "") if config.backend == "downloadservice" else config.door_url


def _tls(config: Config) -> str:
    """Shake hands with the server, and tell what it shows."""
    url = home_of(config)
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 443)
    check_ca_path(config.ca_path)
    if parts.scheme != "https":
        return f"none: {url} is plain http, everybody on the way can read what passes"
    if proxy_for(url):
        return "not looked at: a proxy stands between, and the listing tells whether the server is trusted"
    context = ssl_context(config.ca_path)
    begun = time.monotonic()
    try:
        with (
            socket.create_connection((host, port), timeout=config.connect_timeout) as raw,
            context.wrap_socket(raw, server_hostname=host) as connection,
        ):
            seconds = time.monotonic() - begun
            shown = connection.getpeercert() or {}
            version = connection.version()
    except ssl.SSLCertVerificationError as error:
        raise StorageError(
            f"{host}:{port} is not trusted: {error.verify_message}",
            remedy="check its name and the clock of this machine, or give the CA that signs it (ca_path)",
        ) from error
    except OSError as error:
        raise TransientError(
            f"cannot reach {host}:{port}: {error.strerror or error}", remedy="check host and port, or try later"
        ) from error
    return f"{version} with {host}:{port} in {_ms(seconds)}, its certificate ends {_end_of(shown)}"


def _end_of(shown: object) -> str:
    text = shown.get("notAfter") if isinstance(shown, dict) else None
    return _date(ssl.cert_time_to_seconds(text)) if isinstance(text, str) else "at an unknown time"


def _of_hub(config: Config) -> Iterator[Step]:
    """Give what the hub says of the hub token."""
    try:
        user = hub_user(config)
    except CtaError as error:
        yield Step("credential", "bad", str(error), error)
        yield Step("scopes", "skipped", "not known")
        return
    yield Step("credential", "good", f"the hub token of {user.name}, which does not tell when it ends")
    scope = missing_scope(config, user)
    if scope is not None:
        lacking = CredentialError(f"the hub token lacks the scope {scope}", remedy=new_token(config))
        yield Step("scopes", "bad", str(lacking), lacking)
    elif user.scopes is None:
        yield Step("scopes", "skipped", "the hub does not tell them")
    else:
        yield Step("scopes", "good", ", ".join(sorted(user.scopes)))


def _credential(known: "Report") -> Step:
    if known.fault is not None:
        return Step("credential", "bad", str(known.fault), known.fault)
    chosen = known.chosen
    if chosen is None or not known.usable:
        return Step("credential", "skipped", f"none is given; {known.advice}")
    now = time.time()
    left = known.certificate.life_left(now) if known.certificate else None
    if known.token is not None:
        left = known.token.life_left(now)
    life = "does not tell when it ends" if left is None else f"is good for {_duration(left)}"
    renewed = " and is renewed by itself" if chosen.refreshable else ""
    return Step("credential", "good", f"{chosen.name} {life}{renewed}")


def _scopes(known: "Report") -> Step:
    if known.certificate is not None and known.fault is None:
        return Step("scopes", "skipped", f"a certificate has none: the door decides for {known.certificate.identity}")
    if known.token is None:
        return Step("scopes", "skipped", "there is no token")
    if known.token.scopes is None:
        return Step("scopes", "skipped", "the token does not tell any: the door decides")
    return Step("scopes", "good", " ".join(sorted(known.token.scopes)) or "none in the token: the door decides")


def _list(config: Config, list_dir: Callable[[str], Iterator[object]], path: str) -> str:
    begun = time.monotonic()
    first = next(iter(list_dir(path)), None)
    seconds = time.monotonic() - begun
    found = "it is empty" if first is None else f"its first entry is {getattr(first, 'uri', first)}"
    return f"{path} below {config.base_path} in {_ms(seconds)}, {found}"


def _latency(ask: Callable[[], object]) -> str:
    taken = []
    for _ in range(ASKED):
        begun = time.monotonic()
        ask()
        taken.append(time.monotonic() - begun)
    return f"{_ms(min(taken))} for a small question"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _duration(seconds: float) -> str:
    """Return a time for people.

    >>> _duration(59), _duration(3600), _duration(180000)
    ('59 s', '60 min', '50 h')
    """
    units = (("s", 1), ("min", 60), ("h", 3600))
    unit, size = next(((unit, size) for unit, size in units if seconds < 100 * size), ("days", 86400))
    return f"{seconds / size:.0f} {unit}"
