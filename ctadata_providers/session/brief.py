"""The short way of a request with a small answer: no redirect, no retry, nothing to wait for.

A file of 10 kB costs libcurl 20 us; what a request may need otherwise, and mostly does not, would cost five times that.
Whatever is not as usual ends in a `Detour`, and the caller goes the long way, which knows all of it.
"""

import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
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
class Outcome:
    """How a brief request ended that did not end well.

    Attributes:
        path: What was asked for.
        admitted: What was shown.
        status: The HTTP status, 0 for none.
        lines: The header of the answer.
        fault: What broke, empty when there was an answer.
    """

    path: str
    admitted: Pass
    status: int
    lines: list[bytes]
    fault: str


class Brief(Future[bytes]):
    """One GET at the door, which ends with the body of a 200, or with what `explain` returns.

    Args:
        url: What to ask for.
        path: The same, for messages.
        wire: With what.
        admitted: What it shows.
        loop: Who drives it.
        explain: Returns the error that another end means; called in the loop's thread.
    """

    __slots__ = ("_admitted", "_begun", "_chunks", "_explain", "_lines", "_loop", "_path", "_wire", "handle")

    def __init__(
        self,
        url: str,
        *,
        path: str,
        wire: Wire,
        admitted: Pass,
        loop: CurlLoop,
        explain: Callable[[Outcome], BaseException],
    ) -> None:
        super().__init__()
        import pycurl

        self._path, self._wire, self._admitted, self._loop, self._explain = path, wire, admitted, loop, explain
        self._begun = time.monotonic()
        self._chunks: list[bytes] = []
        self._lines: list[bytes] = []
        idle = wire.brief
        if idle:
            handle = idle.pop()
        else:
            handle = wire.new_handle()
            handle.setopt(pycurl.MAXFILESIZE_LARGE, MAX_BODY_BYTES)
            if wire.authorization is not None:
                handle.setopt(pycurl.HTTPHEADER, [f"Authorization: {wire.authorization}"])
        self.handle: Any = handle
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.HEADERFUNCTION, self._lines.append)
        handle.setopt(pycurl.WRITEFUNCTION, self._chunks.append)
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

        handle = self.handle
        status = handle.getinfo(pycurl.RESPONSE_CODE)
        if code:
            fault = text or handle.errstr() or f"libcurl error {code}"
        else:
            fault = ""
            if len(self._wire.brief) < MAX_IDLE_HANDLES:
                self._wire.brief.append(handle)
            if status == 200:
                self.set_result(b"".join(self._chunks))
                return
        outcome = Outcome(self._path, self._admitted, status, self._lines, fault)
        self.set_exception(self._explain(outcome))

    def stalled(self, now: float) -> bool:
        """Tell whether it takes too long: what is small comes soon, or the long way has the patience."""
        return now - self._begun > self._wire.timeout

    def stopped(self) -> None:
        """Deliver the cancellation."""
        self.set_exception(CancelledError())
