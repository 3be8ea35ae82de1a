"""The short way of a request with a small answer: no redirect, no retry, nothing to wait for.

A file of 10 kB costs libcurl 20 us; what a request may need otherwise, and mostly does not, would cost five times that.
Whatever is not as usual ends in a `Detour`, and the caller goes the long way, which knows all of it.
"""

import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
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
    """What brief requests of a kind have in common; made once for many.

    Attributes:
        method: HTTP or WebDAV method.
        act: What it does, for messages.
        accepts: The statuses that are as usual.
        headers: Headers beside the credential.
        result: Makes the result of what was received, None when that is not as usual; without it, it is the body.
    """

    method: str
    act: str
    accepts: frozenset[int] = frozenset({200})
    headers: tuple[str, ...] = ()
    result: Callable[["Slot"], Any] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a brief request ended that did not end as usual.

    Attributes:
        ask: What was asked for.
        path: Of what, for messages.
        admitted: What was shown.
        status: The HTTP status, 0 for none.
        retry_after: The seconds that the answer asks to wait, None when it does not.
        fault: What broke, empty when there was an answer.
    """

    ask: Ask
    path: str
    admitted: Pass
    status: int
    retry_after: int | None
    fault: str


@dataclass(frozen=True, slots=True)
class Way:
    """The short way, as it is open for some milliseconds: what all who go it then would find out again.

    Attributes:
        wire: With what they go.
        admitted: What they show.
        place: The server.
        broken_at: When a connection to the server broke last.
        youngest: Seconds that a connection may have lived, 0 for any: older ones are dead, or show what was before.
        loop: Who drives them.
        explain: Returns the error that another end means; called in the loop's thread.
        until: Time of the monotonic clock at which it has to be looked at again.
    """

    wire: Wire
    admitted: Pass
    place: tuple[str, str, int]
    broken_at: float | None
    youngest: int
    loop: CurlLoop
    explain: Callable[[Outcome], BaseException]
    until: float


class Slot:
    """A handle that is set up for a kind of request, and what it receives; serves one after another.

    No header passes through Python, which would cost as much as the bytes: libcurl tells what is needed of it.

    Args:
        handle: It.
        idle: Where it waits for the next request.
    """

    __slots__ = ("_idle", "chunks", "handle", "length", "retry_after", "set_url", "status", "youngest")

    def __init__(self, handle: Any, idle: "list[Slot]") -> None:
        import pycurl

        self.handle = handle
        self.chunks: list[bytes] = []
        self.youngest = 0
        self._idle = idle
        self.set_url = partial(handle.setopt, pycurl.URL)
        self.status = partial(handle.getinfo, pycurl.RESPONSE_CODE)
        self.length = partial(handle.getinfo, pycurl.CONTENT_LENGTH_DOWNLOAD_T)
        self.retry_after = partial(handle.getinfo, pycurl.RETRY_AFTER)
        handle.setopt(pycurl.WRITEFUNCTION, self.chunks.append)

    def give_back(self) -> None:
        """Let it serve the next request."""
        self.chunks.clear()
        if len(self._idle) < MAX_IDLE_HANDLES:
            self._idle.append(self)


class Brief(Future[Any]):
    """One request at the door, which ends with the result of the usual answer, or with what `Way.explain` returns.

    What makes more of either is a class of its own, so that the whole is one future.
    """

    __slots__ = ("_ask", "_begun", "_path", "_slot", "_stopped", "_under_way", "_way", "handle")

    def begin(
        self, way: Way, ask: Ask, url: str, path: str, headers: tuple[str, ...] = (), body: bytes | None = None
    ) -> None:
        """Send it, once.

        Args:
            way: How.
            ask: What is asked for.
            url: Where.
            path: The same, for messages.
            headers: Headers of this request alone, beside those of its kind.
            body: What is sent.
        """
        self._way, self._ask, self._path = way, ask, path
        self._stopped = False
        self._under_way: Future[Any] | None = None
        self._begun = time.monotonic()
        try:
            slot = way.wire.brief[ask.method].pop()
        except LookupError:  # none is idle, or another thread was faster
            slot = _new_slot(ask, way.wire, way.wire.brief.setdefault(ask.method, []))
        self._slot = slot
        self.handle = slot.handle
        slot.set_url(url)
        if headers or body is not None or slot.youngest != way.youngest:
            self._set_more(headers, body)
        way.loop.start(self)

    def take(self, result: Any) -> Any:
        """Return what the future ends with, in the loop's thread; what is raised ends it, too."""
        return result

    def otherwise(self, error: BaseException) -> Future[Any] | None:
        """Begin what is to be done after another end, in the loop's thread; None ends the future with the error."""
        del error
        return None

    def _set_more(self, headers: tuple[str, ...], body: bytes | None) -> None:
        import pycurl

        way, slot, set_option = self._way, self._slot, self.handle.setopt
        if slot.youngest != way.youngest:
            slot.youngest = way.youngest
            set_option(pycurl.MAXLIFETIME_CONN, way.youngest)
        if headers:
            set_option(pycurl.HTTPHEADER, [*self._ask.headers, *headers, *_credential(way.wire)])
        if body is not None:
            set_option(pycurl.POSTFIELDS, body)

    def cancel(self) -> bool:
        """Stop it; it then ends with `CancelledError`."""
        if self.done():
            return False
        self._stopped = True  # before the look at what is under way, which another thread may be setting
        if self._under_way is None:
            self._way.loop.cancel(self)
        else:
            self._under_way.cancel()
        return True

    # What the loop calls, in its thread.

    def finished(self, code: int, text: str) -> None:
        """Deliver the outcome."""
        slot, ask = self._slot, self._ask
        status = slot.status()
        result = None
        if not code and status in ask.accepts:
            result = b"".join(slot.chunks) if ask.result is None else ask.result(slot)
        if result is None:
            return self._fail(self._way.explain(self._outcome(code, text, status)))
        slot.give_back()
        try:
            result = self.take(result)
        except BaseException as failed:  # noqa: BLE001 (it belongs to who waits for it)
            return self.set_exception(failed)
        return self.set_result(result)

    def stalled(self, now: float) -> bool:
        """Tell whether it takes too long: what is small comes soon, or the long way has the patience."""
        return now - self._begun > self._way.wire.timeout

    def stopped(self) -> None:
        """Deliver the cancellation."""
        self.set_exception(CancelledError())

    def _outcome(self, code: int, text: str, status: int) -> Outcome:
        """Return how it ended that did not end as usual; a handle on which something broke is not used again."""
        slot = self._slot
        fault = (text or slot.handle.errstr() or f"libcurl error {code}") if code else ""
        outcome = Outcome(self._ask, self._path, self._way.admitted, status, slot.retry_after() or None, fault)
        if not code:
            slot.give_back()
        return outcome

    def _fail(self, error: BaseException) -> None:
        if self._stopped:
            return self.stopped()
        under_way = self.otherwise(error)
        if under_way is None:
            return self.set_exception(error)
        self._under_way = under_way
        if self._stopped:
            under_way.cancel()
        return under_way.add_done_callback(self._arrive)

    def _arrive(self, ended: Future[Any]) -> None:
        if ended.error is None:
            self.set_result(ended.value)
        else:
            self.set_exception(ended.error)


def _new_slot(ask: Ask, wire: Wire, idle: list[Slot]) -> Slot:
    """Return a slot with all that is the same for every brief request of a kind."""
    import pycurl

    handle = wire.new_handle()
    handle.setopt(pycurl.MAXFILESIZE_LARGE, MAX_BODY_BYTES)
    if ask.method == "HEAD":
        handle.setopt(pycurl.NOBODY, 1)
    elif ask.method != "GET":
        handle.setopt(pycurl.CUSTOMREQUEST, ask.method)
    headers = [*ask.headers, *_credential(wire)]
    if headers:
        handle.setopt(pycurl.HTTPHEADER, headers)
    return Slot(handle, idle)


def _credential(wire: Wire) -> list[str]:
    return [] if wire.authorization is None else [f"Authorization: {wire.authorization}"]
