"""One hop of a transfer on a libcurl handle."""

import math
import os
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ctadata_providers.session.headers import head_of
from ctadata_providers.session.limits import Throttle
from ctadata_providers.session.loop import CurlLoop
from ctadata_providers.session.redirects import Hop
from ctadata_providers.session.request import SMALL_BYTES, Request, Sink, always_room, room_of
from ctadata_providers.session.status import EXCERPT_BYTES, Response, error_for_curl
from ctadata_providers.session.tasks import CancellableFuture
from ctadata_providers.transport.sockets import keep_short
from ctadata_providers.transport.trust import Trust

FIRST_BYTE_FACTOR = 5.5
"""A first byte may take this many times `timeout`: dCache stages and queues for up to 300 s (330 s by default)."""
MAX_IGNORED_BYTES = 256 * 1024
"""Bytes of an error page after which the rest is not waited for."""
WRITEFUNC_PAUSE = 0x10000001
"""libcurl's word for "not now" (curl/curl.h)."""
_DEAD = frozenset({52, 55, 56})
"""libcurl's codes for nothing got, send and receive errors: what a dead connection shows (curl/curl.h)."""
MAX_IDLE_HANDLES = 64
"""Handles that are kept of each kind: setting one up anew takes as long as all else that a small file needs."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What a hop needs beside the request, the same for all requests to a server.

    Attributes:
        trust: Trusted CAs.
        cert_file: Client certificate to show.
        key_file: Its key, when in a file of its own.
        authorization: Value of the Authorization header; secret.
        proxy: Proxy URL, empty for none.
        connect_timeout: Seconds.
        timeout: Seconds without progress.
        idle: Handles that are set up for it, by whether they download, each with the headers that it sends.
        brief: Handles for requests that go the short way, by method.
    """

    trust: Trust
    cert_file: Path | None
    key_file: Path | None
    authorization: str | None = field(repr=False)
    proxy: str = field(repr=False)
    connect_timeout: float
    timeout: float
    idle: dict[bool, list[tuple[Any, list[str]]]] = field(
        default_factory=lambda: {True: [], False: []}, repr=False, compare=False
    )
    brief: dict[str, list[Any]] = field(default_factory=dict, repr=False, compare=False)

    def take(self, *, downloads: bool) -> tuple[Any, list[str] | None]:
        """Return a handle, and the headers that it sends if it has served before."""
        try:
            return self.idle[downloads].pop()
        except IndexError:  # none is idle, or another thread was faster
            return self.new_handle(), None

    def new_handle(self) -> Any:
        """Return a handle with all that is the same for every request to the server."""
        import pycurl

        handle = pycurl.Curl()
        set_option = handle.setopt
        set_option(pycurl.PATH_AS_IS, 1)
        set_option(pycurl.NOSIGNAL, 1)
        set_option(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        set_option(pycurl.CONNECTTIMEOUT_MS, int(self.connect_timeout * 1000))
        set_option(pycurl.TCP_KEEPALIVE, 1)
        set_option(pycurl.SOCKOPTFUNCTION, keep_short)
        set_option(pycurl.PROXY, os.fsencode(self.proxy))
        set_option(pycurl.NOPROXY, "")
        _set_trust(handle, self.trust)
        if self.cert_file is not None:
            set_option(pycurl.SSLCERT, os.fsencode(self.cert_file))  # as a text pycurl takes ASCII alone
            set_option(pycurl.SSLKEY, os.fsencode(self.key_file or self.cert_file))
        return handle


class Exchange:
    """Sends a request to one URL and delivers the answer; redirects are answers like others.

    Args:
        request: What to send.
        hop: Where to.
        wire: With what.
        loop: Who drives it.
        broken_at: When a connection to that server broke last.
        throttle: How many bytes may pass.
        heard: Told of the head of each answer, interim ones too, before its body; called in the loop's thread.
    """

    def __init__(
        self,
        request: Request,
        hop: Hop,
        wire: Wire,
        loop: CurlLoop,
        *,
        broken_at: float | None = None,
        throttle: Throttle | None = None,
        heard: Callable[[Response], None] | None = None,
    ) -> None:
        self.request = request
        self._heard = heard
        self._throttle = throttle
        self._hop = hop
        self._wire = wire
        self._loop = loop
        self._lines: list[bytes] = []
        self._response: Response | None = None
        self._sink: Sink | None = None
        self._room: Callable[[], Future[Any] | None] | None = None
        self._excerpt = b""
        self._ignored = 0
        self._error: BaseException | None = None
        self._progress_at = time.monotonic()
        self._in_body = False
        self._sent = 0
        self.died_unused = False
        """Whether it failed because a connection that was kept had died."""
        self._headers: list[str] = []
        age = None if broken_at is None else int(time.monotonic() - broken_at)
        self._kept = age != 0 and heard is None and request.is_plain
        self.handle: Any = self._configured(age)
        self.future: CancellableFuture[Response] = CancellableFuture(self._cancel)

    def start(self) -> CancellableFuture[Response]:
        """Begin; the future ends with the response of any status, or with the error of the transport."""
        self._loop.start(self)
        return self.future

    def _cancel(self) -> None:
        self._loop.cancel(self)

    # What the loop calls, in its thread.

    def finished(self, code: int, text: str) -> None:
        """Deliver the outcome."""
        answered = True
        if code:
            text = text or self.handle.errstr()
            self.died_unused = code in _DEAD and self._is_unused()
            answered = self._is_answered()
        self._release(reusable=not code)
        try:
            if self._error is not None:
                raise self._error
            # The head may tell why nothing came, and says all that there is to say of what is no success.
            told = self._accept() if code and answered and self._lines[-1:] == [b"\r\n"] else None
            if code and self._ignored < MAX_IGNORED_BYTES and (told is None or told.status < 300):
                raise error_for_curl(
                    code,
                    text or f"libcurl error {code}",
                    act=self.request.act,
                    path=self.request.path,
                    url=self._hop.shown,
                )
            response = self._accept()
        except BaseException as error:  # noqa: BLE001 (also what a sink raised belongs to who waits for it)
            self.future.set_exception(error)
        else:
            self.future.set_result(response)

    def _accept(self) -> Response:
        """Return the head of the answer, after the request has been asked for a sink for a success."""
        response = self._head()
        if response.ok and self.request.accept is not None and self._sink is None:
            self._set_sink(self.request.accept(response))
        return response

    def _set_sink(self, sink: Sink) -> None:
        room = room_of(sink)
        self._sink, self._room = sink, None if room is always_room else room

    def stalled(self, now: float) -> bool:
        """Tell whether there was no progress for too long.

        libcurl takes 256 KiB of an upload at a time, so what has really been sent is asked for.
        """
        if self.request.source is not None:
            import pycurl

            sent = int(self.handle.getinfo(pycurl.SIZE_UPLOAD_T))
            if sent != self._sent:
                self._sent, self._progress_at = sent, now
            self._in_body = 0 < sent < self.request.size
        patience = self._wire.timeout if self._in_body else self._wire.timeout * FIRST_BYTE_FACTOR
        return now - self._progress_at > patience

    def _is_unused(self) -> bool:
        """Tell whether it went over a connection of before, and nothing at all came back."""
        import pycurl

        return not self._lines and not self.handle.getinfo(pycurl.NUM_CONNECTS)

    def _is_answered(self) -> bool:
        """Tell whether a head is the server's: a proxy's answer to CONNECT passes for one, and libcurl knows better."""
        import pycurl

        return bool(self.handle.getinfo(pycurl.RESPONSE_CODE))

    def stopped(self) -> None:
        """Deliver the cancellation."""
        self._release(reusable=False)
        self.future.set_exception(CancelledError())

    def _release(self, *, reusable: bool) -> None:
        """Give the handle to the next exchange of its kind, unless something is set that only this one wanted."""
        idle = self._wire.idle[self.request.source is None]
        if reusable and self._kept and len(idle) < MAX_IDLE_HANDLES:
            idle.append((self.handle, self._headers))
        else:
            self.handle.reset()  # what it refers to is let go

    # What libcurl calls, in the loop's thread; what is raised here would be lost, so it is kept.

    def take_header(self, line: bytes) -> None:
        """Keep a line of the header, and tell of each head as it ends (100 Continue, then the final answer)."""
        self._lines.append(line)
        if self._heard is not None and line in (b"\r\n", b"\n"):
            self._heard(self._parsed_head())

    def take_body(self, data: bytes) -> int | None:
        """Pass bytes of a success to the sink; keep the first of another answer for the message."""
        self._progress_at = time.monotonic()
        if self._room is not None and self._is_full(self._room):
            return WRITEFUNC_PAUSE
        throttle = self._throttle
        if throttle is not None:
            if self._waits(throttle):
                return WRITEFUNC_PAUSE
            throttle.passed(len(data))
        sink = self._sink
        try:
            if sink is None:
                self._in_body = True
                response = self._head()
                if not response.ok or self.request.accept is None:
                    self._excerpt = (self._excerpt + data)[:EXCERPT_BYTES]
                    self._ignored += len(data)
                    return None if self._ignored < MAX_IGNORED_BYTES else 0
                self._set_sink(sink := self.request.accept(response))
            sink(data)
        except BaseException as error:  # noqa: BLE001 (libcurl would swallow it)
            self._error = error
            return 0
        return None

    def give_body(self, size: int) -> bytes | int:
        """Give the next bytes of an upload."""
        import pycurl

        self._progress_at = time.monotonic()
        throttle = self._throttle
        if throttle is not None:
            if self._waits(throttle):
                return int(pycurl.READFUNC_PAUSE)
            size = min(size, throttle.piece)
        try:
            data = self.request.source.read(size) if self.request.source is not None else b""
        except BaseException as error:  # noqa: BLE001 (libcurl would swallow it)
            self._error = error
            return int(pycurl.READFUNC_ABORT)
        if throttle is not None:
            throttle.passed(len(data))
        return data

    def _waits(self, throttle: Throttle) -> bool:
        """Tell whether nothing may pass now; it then goes on by itself."""
        delay = throttle.delay()
        if delay:
            self._progress_at = time.monotonic() + delay  # the wait is ours, and not the server's
            self._loop.sleep(delay).add_done_callback(self._go_on)
        return delay > 0

    def _is_full(self, room: Callable[[], Future[Any] | None]) -> bool:
        """Tell whether the sink takes nothing now; it then goes on when there is room."""
        waiting = room()
        if waiting is not None:
            self._progress_at = math.inf  # as above
            waiting.add_done_callback(lambda _: self._loop.call(partial(self._go_on, None)))
        return waiting is not None

    def _go_on(self, _: object) -> None:
        self._progress_at = time.monotonic()
        self._loop.go_on(self)

    def seek_body(self, offset: int, origin: int) -> int:
        """Go back to the start, all that libcurl asks for when it must send again."""
        import pycurl

        if offset != 0 or origin != 0 or self.request.source is None:
            return int(pycurl.SEEKFUNC_FAIL)
        self.request.source.rewind()
        return int(pycurl.SEEKFUNC_OK)

    def _head(self) -> Response:
        """Return the head of the final answer: interim ones (100 Continue) come before it."""
        head = self._response
        if head is None:
            head = self._response = self._parsed_head()
        return replace(head, body=self._excerpt) if self._excerpt else head

    def _parsed_head(self) -> Response:
        """Return the head of the answer that comes now."""
        code, reason, headers = head_of(self._lines)
        return Response(code, reason, headers, self._hop.shown)

    # The handle.

    def _configured(self, age: int | None) -> Any:
        """Return a handle set up for the exchange, an idle one of its kind if there is any.

        Args:
            age: Seconds since a connection to that server broke.
        """
        import pycurl

        request, wire = self.request, self._wire
        handle, known = wire.take(downloads=request.source is None) if self._kept else (wire.new_handle(), None)
        set_option = handle.setopt
        headers = [f"{name}: {value}" for name, value in (*request.headers.items(), *request.guest.items())]
        if wire.authorization is not None:
            headers.append(f"Authorization: {wire.authorization}")
        if request.source is not None:
            if known is None:
                set_option(pycurl.UPLOAD, 1)
                set_option(pycurl.UPLOAD_BUFFERSIZE, 256 * 1024 if request.size > SMALL_BYTES else 64 * 1024)
            set_option(pycurl.INFILESIZE_LARGE, request.size)
            set_option(pycurl.READFUNCTION, self.give_body)
            set_option(pycurl.SEEKFUNCTION, self.seek_body)
            set_option(pycurl.EXPECT_100_TIMEOUT_MS, int(request.expect_wait * 1000))
            headers.append("Expect: 100-continue" if request.expect else "Expect:")
            if request.method != "PUT":
                set_option(pycurl.CUSTOMREQUEST, request.method)
        elif known is None:
            set_option(pycurl.BUFFERSIZE, 512 * 1024)
            _set_message(handle, request)
        # Where one connection broke the older ones are as dead: a door has restarted. Each would cost an attempt.
        set_option(pycurl.MAXLIFETIME_CONN, age or 0)
        # libcurl keeps a look-up in vain for half of this: every retry would be in vain, too.
        set_option(pycurl.DNS_CACHE_TIMEOUT, 60 if age is None else 0)
        copies = request.method == "COPY"
        if age == 0 or copies:  # on one that has died libcurl sends a copy again, though it may have been done
            set_option(pycurl.FRESH_CONNECT, 1)
        if copies:  # a tree of them would leave the server with many idle ones
            set_option(pycurl.FORBID_REUSE, 1)
        if headers:
            if headers != known:
                set_option(pycurl.HTTPHEADER, headers)
        elif known:
            handle.unsetopt(pycurl.HTTPHEADER)  # an empty list would leave those of before, a Range among them
        self._headers = headers
        set_option(pycurl.URL, self._hop.url)
        set_option(pycurl.HEADERFUNCTION, self._lines.append if self._heard is None else self.take_header)
        set_option(pycurl.WRITEFUNCTION, self.take_body)
        return handle


def _set_trust(handle: Any, trust: Trust) -> None:
    """Set all of it: the wheel of pycurl has defaults of its own, which lead nowhere."""
    import pycurl

    if trust.pem is not None:
        handle.setopt(pycurl.CAINFO_BLOB, trust.pem)
    elif trust.file is not None:
        handle.setopt(pycurl.CAINFO, os.fsencode(trust.file))
    else:
        handle.unsetopt(pycurl.CAINFO)
    if trust.folders:
        # A list separated by colons is OpenSSL's own form (X509_LOOKUP_add_dir).
        handle.setopt(pycurl.CAPATH, b":".join(map(os.fsencode, trust.folders)))
    else:
        handle.unsetopt(pycurl.CAPATH)


def _set_message(handle: Any, request: Request) -> None:
    """Set what a WebDAV message has and a plain GET has not."""
    import pycurl

    if request.method == "HEAD":
        handle.setopt(pycurl.NOBODY, 1)
    elif request.method != "GET":
        handle.setopt(pycurl.CUSTOMREQUEST, request.method)
        if request.body is not None:
            handle.setopt(pycurl.POSTFIELDS, request.body)
