"""What faults do to a request before it is handled, and to its answer afterwards."""

from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web

from ctadata_providers.testing.exchange import Exchange, Refusal, quote_path
from ctadata_providers.testing.fault_kinds import FaultName
from ctadata_providers.testing.faults import Fault

# Nobody listens at port 1 (tcpmux).
_REFUSING_PORT = 1
_REDIRECTS = (302, 307)
_MD5_OF_NOTHING = "1B2M2Y8AsgTpgAmY7PhCfg=="

_STATUS: dict[FaultName, tuple[int, str]] = {
    "unauthorized": (401, "Login failed: the credential is refused"),
    "forbidden": (403, "Permission denied"),
    "not-found": (404, "The requested resource does not exist"),
    "too-many-requests": (429, "Too Many Requests"),
    "server-error": (500, "Internal problem"),
    "unavailable": (503, "Door is shutting down"),
    "no-space": (507, "No space left for the upload"),
}


class Site(Protocol):
    """What faults need of the server that has them."""

    url: str

    def drop_transfer(self, exchange: Exchange) -> None:
        """Forget the transfer that a request names."""

    def was_uploaded_since(self, path: str, since: float) -> bool:
        """Tell whether an upload to a path has ended since a time on the monotonic clock."""


async def meet(exchange: Exchange, site: Site) -> None:
    """Let a request meet its faults, before it is handled.

    Raises:
        Refusal: When one of them answers it.
        ConnectionResetError: When one of them ends the connection.
        ClientGoneError: When the client left while it waited.
    """
    for fault in exchange.faults:
        refuse(fault)
        if act := _ACTS.get(fault.name):
            await act(fault, exchange, site)


def refuse(fault: Fault) -> None:
    """Let a fault that is nothing but a status strike.

    Raises:
        Refusal: When it does.
    """
    if fault.name in _STATUS and fault.strike():
        status, text = _STATUS[fault.name]
        raise Refusal(fault.options.status or status, text, _retry_after(fault))


def part(exchange: Exchange, response: web.StreamResponse, site: Site) -> None:
    """Let an answer meet the faults of its request, before it leaves.

    Raises:
        ConnectionResetError: When it is lost.
    """
    for fault in exchange.faults:
        if fault.name == "lost-answer" and response.status < 300 and fault.strike():
            raise ConnectionResetError
        if fault.name in _ELSEWHERE and response.status in _REDIRECTS and "Location" in response.headers:
            target = _ELSEWHERE[fault.name](fault, exchange, response.headers["Location"], site)
            if target and fault.strike():
                response.headers["Location"] = target


def _retry_after(fault: Fault) -> dict[str, str]:
    seconds = fault.options.retry_after
    return {} if seconds < 0 else {"Retry-After": f"{seconds:.0f}"}


async def _reset(fault: Fault, exchange: Exchange, site: Site) -> None:
    if not fault.options.after and fault.strike():
        raise ConnectionResetError


async def _stall(fault: Fault, exchange: Exchange, site: Site) -> None:
    if not fault.options.after and fault.strike():
        await exchange.pause(fault.options.seconds)


async def _think(fault: Fault, exchange: Exchange, site: Site) -> None:
    if fault.strike():
        await exchange.pause(fault.options.seconds)


async def _find_no_pool(fault: Fault, exchange: Exchange, site: Site) -> None:
    if not fault.options.refused and fault.strike():
        await exchange.pause(fault.options.seconds)
        raise Refusal(500, "Request to pool timed out")


async def _expire(fault: Fault, exchange: Exchange, site: Site) -> None:
    if fault.strike():
        site.drop_transfer(exchange)


async def _abandon(fault: Fault, exchange: Exchange, site: Site) -> None:
    if fault.strike():
        site.drop_transfer(exchange)
        raise ConnectionResetError


async def _expect_another_checksum(fault: Fault, exchange: Exchange, site: Site) -> None:
    if exchange.request.body_exists and fault.strike():
        exchange.expected_md5 = exchange.expected_md5 or _MD5_OF_NOTHING


async def _hide(fault: Fault, exchange: Exchange, site: Site) -> None:
    if site.was_uploaded_since(exchange.path, fault.since) and fault.strike():
        raise Refusal(fault.options.status, "No such file or directory")


_ACTS: dict[FaultName, Callable[[Fault, Exchange, Site], Awaitable[None]]] = {
    "reset": _reset,
    "stall": _stall,
    "slow-redirect": _think,
    "pool-down": _find_no_pool,
    "expired-url": _expire,
    "abandoned-upload": _abandon,
    "corrupt-upload-stays": _expect_another_checksum,
    "late-visibility": _hide,
}


def _at_itself(fault: Fault, exchange: Exchange, location: str, site: Site) -> str:
    return f"{site.url}{quote_path(exchange.path)}"


def _at_another(fault: Fault, exchange: Exchange, location: str, site: Site) -> str:
    return _moved(location, fault.options.to.rstrip("/"))


def _at_a_dead_pool(fault: Fault, exchange: Exchange, location: str, site: Site) -> str:
    parts = urlsplit(location)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return _moved(location, f"{parts.scheme}://{host}:{_REFUSING_PORT}") if fault.options.refused else ""


def _moved(location: str, origin: str) -> str:
    parts = urlsplit(location)
    return f"{origin}{parts.path}{'?' if parts.query else ''}{parts.query}"


# Each gives another Location, or none to leave it.
_ELSEWHERE: dict[FaultName, Callable[[Fault, Exchange, str, Site], str]] = {
    "redirect-loop": _at_itself,
    "redirect-to": _at_another,
    "pool-down": _at_a_dead_pool,
}
