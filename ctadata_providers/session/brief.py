"""The short way of a request with a small answer: no redirect, no retry, nothing to wait for.

A file of 10 kB costs libcurl 20 us; what a request may need otherwise, and mostly does not, would cost five times that.
Whatever is not as usual ends in a `Detour`, and the caller goes the long way, which knows all of it.
"""

import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any

from ctadata_providers.session.admission import Pass
from ctadata_providers.session.exchange import MAX_IDLE_HANDLES, Wire
from ctadata_providers.session.futures import Future
from ctadata_providers.session.loop import CurlLoop

MAX_BODY_BYTES = 1024 * 1024
"""Bytes beyond which no answer is small."""


class Detour(Exception):
    """The answer was not the usual one: the long way is to be gone."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a brief request asks for.

    Attributes:
        method: HTTP or WebDAV method.
        url: Where.
        path: The same, for messages.
        act: What it does, for messages.
        accepts: The statuses that are as usual.
        headers: Headers beside the credential.
        body: What is sent.
        result: Makes the result of the header and the pieces of the body.
    """

    method: str
    url: str = field(repr=False)
    path: str
    act: str
    accepts: frozenset[int] = frozenset({200})
    headers: tuple[str, ...] = ()
    body: bytes | None = None
    result: Callable[[list[bytes], list[bytes]], Any] = lambda _, pieces: b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a brief request ended that did not end as usual.

    Attributes:
        ask: What was asked for.
        admitted: What was shown.
        status: The HTTP status, 0 for none.
        lines: The header of the answer.
        fault: What broke, empty when there was an answer.
    """

    ask: Ask
    admitted: Pass
    status: int
    lines: list[bytes]
    fault: str


class Brief(Future[Any]):
    """One request at the door, which ends with the result of the usual answer, or with what `explain` returns.

    Args:
        ask: What is asked for.
        wire: With what.
        admitted: What it shows.
        youngest: Seconds that a connection may have lived, 0 for any: older ones are dead, or show what was before.
        loop: Who drives it.
        explain: Returns the error that another end means; called in the loop's thread.
    """

    __slots__ = ("_admitted", "_ask", "_begun", "_chunks", "_explain", "_lines", "_loop", "_wire", "handle")

    def __init__(
        self,
        ask: Ask,
        *,
        wire: Wire,
        admitted: Pass,
        youngest: int,
        loop: CurlLoop,
        explain: Callable[[Outcome], BaseException],
    ) -> None:
        super().__init__()
        import pycurl

        self._ask, self._wire, self._admitted, self._loop, self._explain = ask, wire, admitted, loop, explain
        self._begun = time.monotonic()
        self._chunks: list[bytes] = []
        self._lines: list[bytes] = []
        idle = wire.brief.get(ask.method)  # used in the loop's thread alone
        self.handle: Any = idle.pop() if idle else _new_handle(ask, wire)
        set_option = self.handle.setopt
        set_option(pycurl.URL, ask.url)
        set_option(pycurl.MAXLIFETIME_CONN, youngest)
        set_option(pycurl.HEADERFUNCTION, self._lines.append)
        set_option(pycurl.WRITEFUNCTION, self._chunks.append)
        if ask.headers:
            set_option(pycurl.HTTPHEADER, [*ask.headers, *_credential(wire)])
        if ask.body is not None:
            set_option(pycurl.POSTFIELDS, ask.body)
        loop.start(self)

    def cancel(self) -> bool:
        """Stop it; it then ends with `CancelledError`."""
        if self.done():
            return False
        self._loop.cancel(self)
        return True

    # What the loop calls, in its thread.

    def finished(self, code: int, text: str) -> None:
        """Deliver the outcome."""
        import pycurl

        handle, ask = self.handle, self._ask
        status = handle.getinfo(pycurl.RESPONSE_CODE)
        if code:
            fault = text or handle.errstr() or f"libcurl error {code}"
        else:
            fault = ""
            idle = self._wire.brief.setdefault(ask.method, [])
            if len(idle) < MAX_IDLE_HANDLES:
                idle.append(handle)
            if status in ask.accepts:
                self.set_result(ask.result(self._lines, self._chunks))
                return
        self.set_exception(self._explain(Outcome(ask, self._admitted, status, self._lines, fault)))

    def stalled(self, now: float) -> bool:
        """Tell whether it takes too long: what is small comes soon, or the long way has the patience."""
        return now - self._begun > self._wire.timeout

    def stopped(self) -> None:
        """Deliver the cancellation."""
        self.set_exception(CancelledError())


def _new_handle(ask: Ask, wire: Wire) -> Any:
    """Return a handle with all that is the same for every brief request of a method."""
    import pycurl

    handle = wire.new_handle()
    handle.setopt(pycurl.MAXFILESIZE_LARGE, MAX_BODY_BYTES)
    if ask.method == "HEAD":
        handle.setopt(pycurl.NOBODY, 1)
    elif ask.method != "GET":
        handle.setopt(pycurl.CUSTOMREQUEST, ask.method)
    credential = _credential(wire)
    if credential:
        handle.setopt(pycurl.HTTPHEADER, credential)
    return handle


def _credential(wire: Wire) -> list[str]:
    return [] if wire.authorization is None else [f"Authorization: {wire.authorization}"]
