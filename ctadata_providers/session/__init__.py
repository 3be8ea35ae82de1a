"""HTTP, once: TLS, time-outs, redirects, errors and origin-bound credentials for both stacks.

libcurl carries bytes (`exchange`), requests carries messages (`message`, `stream`); what is decided is decided here.
"""

import os
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from ctadata_providers.config import Config
from ctadata_providers.credentials import ClientCertificate, Credential, resolve
from ctadata_providers.credentials.hub import services_instead
from ctadata_providers.errors import CtaError, StorageError, TransientError
from ctadata_providers.forks import fork_safe_lock
from ctadata_providers.retry import RetryPolicy
from ctadata_providers.session import habits
from ctadata_providers.session.admission import Admission, Pass
from ctadata_providers.session.exchange import Exchange, Wire
from ctadata_providers.session.limits import RateLimiter, limiter, throttle
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.redirects import MAX_REDIRECTS, REDIRECTS, Hop, follow
from ctadata_providers.session.request import Proxy, Request, Sink, Source, guest_secrets
from ctadata_providers.session.shortway import ShortWay
from ctadata_providers.session.status import Response, error_for, http_time, meant, succeeded
from ctadata_providers.session.tasks import run, wait
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


class Session:
    """Exchanges with servers under one configuration; thread-safe, and fresh after a fork.

    Construction does no I/O.

    Args:
        config: The settings.
        find: Returns the credential; without it the one for the door that the settings choose.
    """

    def __init__(self, config: Config, *, find: Callable[[], Credential] | None = None) -> None:
        self.config = config
        self._find = find or partial(resolve, config)
        self.policy = RetryPolicy(retries=config.retries)
        self._lock = fork_safe_lock()
        self._credential: Credential | None = None
        self._messengers: dict[Hashable, Messenger] = {}
        self._pid = os.getpid()
        self._proxies: dict[tuple[str, str, int], Proxy] = {}
        self._wires: dict[tuple[tuple[str, str, int], Hashable], Wire] = {}
        self._server_header: str | None = None
        self._dated: tuple[str, float] | None = None
        self._admission = Admission(
            lambda: self.credential,
            clock_ahead=lambda: self.clock_ahead,
            announce=config.on_token,
            advice=self._after_refusal,
        )
        self.short = ShortWay(config, self._admission, wire=self._wire, error=self._error)

    @property
    def credential(self) -> Credential:
        """The credential that the settings choose."""
        if self._credential is None:
            with self._lock:
                if self._credential is None:
                    check_ca_path(self.config.ca_path)
                    self._credential = self._find()
        return self._credential

    @property
    def server_header(self) -> str | None:
        """What the door says it is, None before its first answer."""
        return self._server_header

    @property
    def uploads_ask_first(self) -> bool:
        """Whether the next upload should ask first: the door has redirected one, or left the last without an answer.

        It may have refused it: who sends on meanwhile sees no more than that the connection breaks.
        """
        return habits.wants_to_be_asked(self.credential.home)

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
        loop, admission = curl_loop(), self._admission
        renewed = sent_again = False
        for _ in range(MAX_REDIRECTS + 1):
            delay = self._delay(hop)
            if delay:
                await wait(loop.sleep(delay))
            with admission.at_once(hop) or await admission.admit(hop) as admitted:
                sending = self._sending(request, hop, admitted)
                try:
                    response = self._meant(await wait(sending.start()), request.method)
                except TransientError:
                    habits.broke(hop.place, unasked=request.is_unasked)
                    # A pool's URL may be used up; at the door a kept connection that had died is not worth a retry.
                    if sent_again or not sending.died_unused or hop.url != request.url:
                        raise
                    sent_again = True
                    if request.source is not None:
                        request.source.rewind()
                    continue
                self._heard(response, hop, admitted)
                if succeeded(response, request.method):
                    if request.size:
                        habits.answered(hop.place)
                    return response
                if response.status not in REDIRECTS:
                    refused = admission.refuses(response, admitted)
                    if not (refused and await admission.refused(admitted, hop, again=renewed)):
                        raise self._error(response, request, hop, admitted)
                    renewed = True
                else:
                    if request.is_unasked:
                        habits.redirected(hop.place)
                    hop = self._next_hop(hop, response, request, admitted)
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

        hop, admission = self._first_hop(request), self._admission
        renewed = False
        for _ in range(MAX_REDIRECTS + 1):
            delay = self._delay(hop)
            if delay:
                time.sleep(delay)
            limits = (self.config.connect_timeout, request.timeout or self.config.timeout)
            with admission.at_once(hop) or run(admission.admit(hop)) as admitted:
                messenger = self._messenger(admitted)
                sending = messenger.send(request, hop, admitted.token, proxy=self._proxy(hop), timeout=limits)
                with sending as (head, chunks):
                    head = self._meant(head, request.method)
                    self._heard(head, hop, admitted)
                    if succeeded(head, request.method):
                        yield head, chunks
                        return
                    if head.status not in REDIRECTS:
                        refused = admission.refuses(head, admitted)
                        if refused and run(admission.refused(admitted, hop, again=renewed)):
                            renewed = True
                            continue
                        head = Response(head.status, head.reason, head.headers, head.url, excerpt(chunks, request.path))
                        raise self._error(head, request, hop, admitted)
                    hop = self._next_hop(hop, head, request, admitted)
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

    def _next_hop(self, hop: Hop, response: Response, request: Request, admitted: Pass) -> Hop:
        credential, token = self.credential, admitted.token
        return follow(hop, response, config=self.config, credential=credential, request=request, token=token)

    def _meant(self, response: Response, method: str) -> Response:
        """Return an answer as its server means it."""
        return meant(response, method)

    def _error(self, response: Response, request: Request, hop: Hop, admitted: Pass) -> CtaError:
        """Return what an answer means; the secret is empty for a certificate, None when the request carried none."""
        secret = None if admitted.gate is None else admitted.token.value if admitted.token else ""
        ended = self._admission.refuses(response, admitted) and response.status == 403
        hidden = (*hop.secrets, *guest_secrets(request))
        instead = services_instead(self.config)
        return error_for(
            response,
            act=request.act,
            path=request.path,
            secret=secret,
            hidden=hidden,
            ended=ended,
            instead=instead,
        )

    def _after_refusal(self) -> str:
        """Return what to do about a credential that was just refused."""
        return "get a new one; this one is not sent for 20 s: dCache blocks a site after three"

    def _delay(self, hop: Hop) -> float:
        """Take the next place at the door; the pools are not limited."""
        return self._limiter(hop).reserve() if hop.place == self.credential.home else 0.0

    def _limiter(self, hop: Hop) -> RateLimiter:
        return limiter(hop.place, self.config.max_requests_per_second)

    def _heard(self, response: Response, hop: Hop, admitted: Pass) -> None:
        """Learn from the head of an answer what the door is, what its clock says, and whether it takes the token."""
        self._note(response, hop)
        self._admission.heard(response, admitted)

    def _note(self, response: Response, hop: Hop) -> None:
        """Learn from an answer of the door what it is, and what its clock says."""
        if hop.place != self.credential.home:
            return
        headers = response.headers
        if "date" in headers:
            self._dated = headers["date"], response.arrived
        if self._server_header is None and "server" in headers:
            self._server_header = headers["server"]
            if self.config.max_requests_per_second is None and "dcache" in self._server_header.lower():
                self._limiter(hop).per_second = DCACHE_REQUESTS_PER_SECOND
                self.short.close()

    def _sending(self, request: Request, hop: Hop, admitted: Pass) -> Exchange:
        wire = self._wire(hop, admitted)
        # A proxy's answer to CONNECT would pass for the server's.
        heard = partial(self._heard, hop=hop, admitted=admitted) if admitted.probe and not wire.proxy else None
        return Exchange(
            request,
            hop,
            wire,
            curl_loop(),
            broken_at=habits.broken_at(hop.place),
            throttle=throttle(self.config.limit_rate),
            heard=heard,
        )

    def _wire(self, hop: Hop, admitted: Pass) -> Wire:
        wire = self._wires.get((hop.place, admitted.shown))
        if wire is None:
            if len(self._wires) > MANY:
                self._wires.clear()
            wire = self._wires[hop.place, admitted.shown] = self._new_wire(hop, admitted)
        return wire

    def _new_wire(self, hop: Hop, admitted: Pass) -> Wire:
        certificate = _certificate_of(self.credential, admitted)
        if certificate is not None and any(place == hop.place for place, _ in list(self._wires)):
            habits.broke(hop.place)  # the connections that are open show the certificate of before
        return Wire(
            trust=trust(self.config.ca_path),
            cert_file=certificate.cert_file if certificate else None,
            key_file=certificate.key_file if certificate else None,
            authorization=f"Bearer {admitted.token.value}" if admitted.token else None,
            proxy=self._proxy(hop).url,
            connect_timeout=self.config.connect_timeout,
            timeout=self.config.timeout,
        )

    def _messenger(self, admitted: Pass) -> "Messenger":
        """Return the message stack, with the client certificate only for hops that may see it."""
        from ctadata_providers.session.messages import Messenger

        certificate = _certificate_of(self.credential, admitted)
        key = admitted.certificate
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._messengers = os.getpid(), {}
            messenger = self._messengers.get(key)
            if messenger is None:
                # One with the certificate of before is dropped, not closed: another thread may be using it.
                self._messengers = {other: kept for other, kept in self._messengers.items() if other is None}
                messenger = self._messengers[key] = Messenger(self.config.ca_path, certificate)
            return messenger

    def _proxy(self, hop: Hop) -> Proxy:
        """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY give for a URL, the same for both stacks."""
        if hop.place not in self._proxies:
            self._proxies[hop.place] = Proxy(proxy_for(hop.url))
        return self._proxies[hop.place]


def _certificate_of(credential: Credential, admitted: Pass) -> ClientCertificate | None:
    """Return the client certificate if that is what a request shows."""
    return None if admitted.certificate is None else credential.certificate


def _endless(request: Request) -> StorageError:
    return StorageError(
        f"cannot {request.act} {request.path}: more than {MAX_REDIRECTS} redirects",
        path=request.path,
        remedy="the server sends requests in a circle: tell its operators",
    )
