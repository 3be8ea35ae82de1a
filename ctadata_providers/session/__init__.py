"""HTTP, once: TLS, time-outs, redirects, errors and origin-bound credentials for both stacks.

libcurl carries bytes (`exchange`), requests carries messages (`message`, `stream`); what is decided is decided here.
"""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ctadata_providers.config import Config
from ctadata_providers.credentials import ClientCertificate, Credential, Token, resolve
from ctadata_providers.errors import CredentialError, CtaError, StorageError, TransientError
from ctadata_providers.retry import RetryPolicy
from ctadata_providers.session.exchange import Exchange, Wire
from ctadata_providers.session.limits import RateLimiter, limiter
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.redirects import MAX_REDIRECTS, REDIRECTS, Hop, follow
from ctadata_providers.session.request import Proxy, Request, Sink, Source
from ctadata_providers.session.status import Response, error_for, http_time
from ctadata_providers.session.tasks import wait
from ctadata_providers.transport.proxies import proxy_for
from ctadata_providers.transport.trust import check_ca_path, trust

if TYPE_CHECKING:
    from ctadata_providers.session.messages import Messenger

__all__ = ["Request", "Response", "Session", "Sink", "Source"]

DCACHE_REQUESTS_PER_SECOND = 200.0
"""dCache answers 429 above 250 requests a second from one address (dCache PR 8131)."""
MANY = 64
MESSAGE_FACTOR = 10
"""A whole answer to a message may take this many times the time-out."""
REFUSED_PAUSE = 20.0
"""Seconds for which a refused credential is not sent again: dCache blocks an address after three 401 in 20 s."""

_refused_until: dict[tuple[tuple[str, str, int], str], float] = {}
"""When a refused credential may be sent to a server again: the same for all sessions of a process."""

_broken: dict[tuple[str, str, int], float] = {}
"""When a connection to a server broke last, or was left in a bad state: libcurl keeps them for all sessions."""
_redirecting: set[tuple[str, str, int]] = set()
"""Servers that have redirected an upload whose body they did not want."""


class Session:
    """Exchanges with servers under one configuration; thread-safe, and fresh after a fork.

    Construction does no I/O.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.policy = RetryPolicy(retries=config.retries)
        self._lock = threading.Lock()
        self._credential: Credential | None = None
        self._messengers: dict[bool, Messenger] = {}
        self._pid = os.getpid()
        self._proxies: dict[tuple[str, str, int], Proxy] = {}
        self._wires: dict[tuple[object, ...], Wire] = {}
        self._server_header: str | None = None
        self._dated: tuple[str, float] | None = None
        self._announced = ""
        self._certificate_seen = -1

    @property
    def credential(self) -> Credential:
        """The credential that the settings choose."""
        if self._credential is None:
            self._credential = resolve(self.config)
            check_ca_path(self.config.ca_path)
        return self._credential

    @property
    def server_header(self) -> str | None:
        """What the door says it is, None before its first answer."""
        return self._server_header

    @property
    def redirects_uploads(self) -> bool:
        """Whether the door has redirected an upload, so that the next should ask first."""
        return self.credential.home in _redirecting

    @property
    def clock_ahead(self) -> float | None:
        """How many seconds the door's clock was ahead of ours at its last answer; None when it does not tell."""
        if self._dated is None:
            return None
        told, ours = self._dated
        theirs = http_time(told)
        return None if theirs is None else theirs - ours

    async def exchange(self, request: Request) -> Response:
        """Download or upload by libcurl, inside a spawned coroutine; return the successful response.

        Raises:
            TransientError: A fault that may pass. Nothing is retried here: only the caller knows what may be.
            CtaError: As `status.error_for` says.
        """
        hop = self._first_hop(request)
        loop = curl_loop()
        renewed = sent_again = False
        for _ in range(MAX_REDIRECTS + 1):
            delay = self._delay(hop)
            if delay:
                await wait(loop.sleep(delay))
            token = self._token(hop)
            wire = self._wire(hop, token)
            self._refuse_again(token, hop)
            sending = Exchange(request, hop, wire, loop, broken_at=_broken.get(hop.place))
            try:
                response = await wait(sending.start())
            except TransientError:
                _broken[hop.place] = time.monotonic()
                # A pool's URL may be used up; at the door a kept connection that had died is no fault worth a retry.
                if sent_again or not sending.died_unused or hop.url != request.url:
                    raise
                sent_again = True
                if request.source is not None:
                    request.source.rewind()
                continue
            self._note(response, hop)
            if response.ok:
                return response
            if response.status not in REDIRECTS:
                if not (response.status == 401 and self._renewed(token, hop) and not renewed):
                    raise self._error(response, request, hop, token)
                renewed = True
            else:
                if request.size and not request.expect:
                    _redirecting.add(hop.place)
                    _broken[hop.place] = time.monotonic()  # XRootD may have left the body unread on the connection
                hop = self._next_hop(hop, response, request)
            if request.source is not None:
                request.source.rewind()
        raise _endless(request)

    def message(self, request: Request) -> Response:
        """Send a message and return its successful response, body included.

        Raises:
            CtaError: As `status.error_for` says; a transient fault only after the retries, if it may be repeated.
        """
        from ctadata_providers.session.messages import read_all

        def once() -> Response:
            with self.stream(request) as (head, chunks):
                body = read_all(chunks, request.path, seconds=MESSAGE_FACTOR * (request.timeout or self.config.timeout))
                return Response(head.status, head.reason, head.headers, head.url, body)

        return self.policy.call(once) if request.retried else once()

    @contextmanager
    def stream(self, request: Request) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """Send a message and give its successful response and the body as it arrives; nothing is retried.

        Raises:
            CtaError: As `status.error_for` says.
        """
        from ctadata_providers.session.messages import excerpt

        hop = self._first_hop(request)
        renewed = False
        for _ in range(MAX_REDIRECTS + 1):
            delay = self._delay(hop)
            if delay:
                time.sleep(delay)
            token = self._token(hop)
            limits = (self.config.connect_timeout, request.timeout or self.config.timeout)
            messenger = self._messenger(hop)
            self._refuse_again(token, hop)
            sending = messenger.send(request, hop, token, proxy=self._proxy(hop), timeout=limits)
            with sending as (head, chunks):
                self._note(head, hop)
                if head.ok:
                    yield head, chunks
                    return
                if head.status not in REDIRECTS:
                    if head.status == 401 and self._renewed(token, hop) and not renewed:
                        renewed = True
                        continue
                    head = Response(head.status, head.reason, head.headers, head.url, excerpt(chunks, request.path))
                    raise self._error(head, request, hop, token)
                hop = self._next_hop(hop, head, request)
        raise _endless(request)

    def close(self) -> None:
        """Close idle connections of the message stack; the session can still be used."""
        with self._lock:
            messengers, self._messengers = self._messengers, {}
        if self._pid == os.getpid():
            for messenger in messengers.values():
                messenger.close()

    def _first_hop(self, request: Request) -> Hop:
        hop = Hop(request.url, with_credential=True)
        return hop if hop.place == self.credential.home else Hop(request.url, self.credential.may_see(request.url))

    def _next_hop(self, hop: Hop, response: Response, request: Request) -> Hop:
        return follow(hop, response, config=self.config, credential=self.credential, request=request)

    def _error(self, response: Response, request: Request, hop: Hop, token: Token | None) -> CtaError:
        """Return what an answer means; the secret is empty for a certificate, None when the request carried none."""
        certificate = hop.with_credential and self.credential.certificate is not None
        secret = token.value if token is not None else "" if certificate else None
        return error_for(response, act=request.act, path=request.path, secret=secret, hidden=hop.secrets)

    def _delay(self, hop: Hop) -> float:
        """Take the next place at the door; the pools are not limited."""
        return self._limiter(hop).reserve() if hop.place == self.credential.home else 0.0

    def _limiter(self, hop: Hop) -> RateLimiter:
        return limiter(hop.place, self.config.max_requests_per_second)

    def _token(self, hop: Hop) -> Token | None:
        """Return the token for a hop, None when it must not or cannot carry one."""
        if not hop.with_credential:
            return None
        token = self.credential.token()
        if token is None:
            return None
        if token.value != self._announced:
            self._announced = token.value
            if self.config.on_token is not None:
                self.config.on_token(token.value)
        return token

    def _refuse_again(self, token: Token | None, hop: Hop) -> None:
        """Make sure that a credential is not shown to a server that has just refused it."""
        shown = self._shown(token, hop)
        if shown is not None and time.monotonic() < _refused_until.get((hop.place, shown), 0.0):
            what = "the client certificate" if token is None else f"the token of {token.source}"
            raise CredentialError(
                f"{hop.shown}: the door has just refused {what}",
                remedy="get a new one; this one is not sent for 20 s: dCache blocks a site after three",
            )

    def _renewed(self, token: Token | None, hop: Hop) -> bool:
        """Remember that a credential was refused; tell whether there is another one by now."""
        shown = self._shown(token, hop)
        if shown is None:
            return False
        if len(_refused_until) > MANY:
            _refused_until.clear()
        _refused_until[hop.place, shown] = time.monotonic() + REFUSED_PAUSE
        current = self.credential.token()
        return token is not None and current is not None and current.value != token.value

    def _shown(self, token: Token | None, hop: Hop) -> str | None:
        """Return what tells the credential of a request from others, None when it carries none."""
        certificate = self.credential.certificate
        if token is not None:
            return hashlib.sha256(token.value.encode()).hexdigest()
        return f"{certificate.cert_file} {self._certificate_seen}" if hop.with_credential and certificate else None

    def _note(self, response: Response, hop: Hop) -> None:
        """Learn from an answer of the door what it is, and what its clock says."""
        if hop.place == self.credential.home and "date" in response.headers:
            self._dated = response.headers["date"], time.time()
        if self._server_header is None and "server" in response.headers and hop.place == self.credential.home:
            self._server_header = response.headers["server"]
            if self.config.max_requests_per_second is None and "dcache" in self._server_header.lower():
                self._limiter(hop).per_second = DCACHE_REQUESTS_PER_SECOND

    def _wire(self, hop: Hop, token: Token | None) -> Wire:
        certificate = self.credential.certificate if hop.with_credential else None
        if certificate is not None:
            self._check_certificate(certificate)
        key = (hop.place, token.value if token else None, certificate is not None)
        wire = self._wires.get(key)
        if wire is None:
            if len(self._wires) > MANY:
                self._wires.clear()
            wire = self._wires[key] = self._new_wire(hop, token, certificate)
        return wire

    def _new_wire(self, hop: Hop, token: Token | None, certificate: ClientCertificate | None) -> Wire:
        return Wire(
            trust=trust(self.config.ca_path),
            cert_file=certificate.cert_file if certificate else None,
            key_file=certificate.key_file if certificate else None,
            authorization=f"Bearer {token.value}" if token else None,
            proxy=self._proxy(hop).url,
            connect_timeout=self.config.connect_timeout,
            timeout=self.config.timeout,
        )

    def _check_certificate(self, certificate: ClientCertificate) -> bool:
        """Check the client certificate when its file is new; tell whether it is."""
        try:
            seen = certificate.cert_file.stat().st_mtime_ns
        except OSError:
            seen = 0
        if self._certificate_seen == seen:
            return False
        certificate.check()
        self._certificate_seen = seen
        return True

    def _messenger(self, hop: Hop) -> "Messenger":
        """Return the message stack, with the client certificate only for hops that may see it."""
        from ctadata_providers.session.messages import Messenger

        certificate = self.credential.certificate if hop.with_credential else None
        if certificate is not None and self._check_certificate(certificate):
            with self._lock:
                self._messengers.pop(True, None)
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._messengers = os.getpid(), {}
            key = certificate is not None
            if key not in self._messengers:
                self._messengers[key] = Messenger(self.config.ca_path, certificate)
            return self._messengers[key]

    def _proxy(self, hop: Hop) -> Proxy:
        """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY give for a URL, the same for both stacks."""
        if hop.place not in self._proxies:
            self._proxies[hop.place] = Proxy(proxy_for(hop.url))
        return self._proxies[hop.place]


def _endless(request: Request) -> StorageError:
    return StorageError(
        f"cannot {request.act} {request.path}: more than {MAX_REDIRECTS} redirects",
        path=request.path,
        remedy="the server sends requests in a circle: tell its operators",
    )
