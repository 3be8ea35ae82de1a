"""Small messages over requests: WebDAV verbs and their answers."""

import http.client
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path

import requests
import urllib3

from ctadata_providers.credentials import ClientCertificate, Token
from ctadata_providers.errors import CtaError, StorageError, TransientError
from ctadata_providers.session.headers import fields
from ctadata_providers.session.redirects import Hop
from ctadata_providers.session.request import Proxy, Request
from ctadata_providers.session.status import EXCERPT_BYTES, Response, error_for_curl
from ctadata_providers.transport.adapter import Adapter
from ctadata_providers.transport.patience import PATIENCE_FACTOR, HeaderTooLong

EXCERPT_SECONDS = 10.0
PIECE = 64 * 1024
SLOWEST = 1000.0
"""Bytes a second below which an answer, after some patience, is not waited for."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
TLS_BROKE = "the TLS connection broke"


def _without_queries(record: logging.LogRecord) -> bool:
    """Cut the query off the URLs that urllib3 logs at DEBUG: a redirect may have put a secret there."""
    if isinstance(record.args, tuple):
        record.args = tuple(a.partition("?")[0] if isinstance(a, str) else a for a in record.args)
    return True


def _without_header(record: logging.LogRecord) -> bool:
    """Keep the header that cannot be parsed out of urllib3's warning: the Location may be in it."""
    if record.exc_info:
        record.args = tuple(record.args or ())[:1]
        record.msg, record.exc_info = "Failed to parse headers (url=%s)", None
    return _without_queries(record)


logging.getLogger("urllib3.connectionpool").addFilter(_without_queries)
logging.getLogger("urllib3.connection").addFilter(_without_header)


class Messenger:
    """Sends one message to one URL; redirects are answers like others."""

    def __init__(self, ca_path: Path | None, certificate: ClientCertificate | None) -> None:
        self._session = requests.Session()
        # What is packed may unpack to anything; a listing is not worth that.
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.trust_env = False  # neither ~/.netrc nor REQUESTS_CA_BUNDLE
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._certified = certificate is not None
        self._adapter = Adapter(
            ca_path,
            cert_file=certificate.cert_file if certificate else None,
            key_file=certificate.key_file if certificate else None,
        )

    @contextmanager
    def send(
        self,
        request: Request,
        hop: Hop,
        token: Token | None,
        *,
        proxy: Proxy,
        timeout: tuple[float, float],
    ) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """Send and give the head and the body as it arrives.

        Raises:
            TransientError: When the connection fails or breaks.
            CredentialError: When the server refuses the client certificate.
            StorageError: When the server's certificate is not trusted.
        """
        asked = requests.Request(request.method, hop.url, headers=dict(request.headers), data=request.body)
        if token is not None:
            asked.headers["Authorization"] = f"Bearer {token.value}"
        try:
            # The adapter itself: requests.Session reads the body of a redirect whole, and parses its Location.
            answer = self._adapter.send(
                self._session.prepare_request(asked),
                stream=True,
                timeout=timeout,
                verify=True,
                proxies={hop.place[0]: proxy.url} if proxy.url else None,
            )
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            ValueError,
        ) as error:
            raise _translated(error, request, hop, certified=self._certified) from error
        with answer:
            head = Response(
                answer.status_code,
                answer.reason or "",
                fields(answer.raw.headers.iteritems()),
                hop.shown,
            )
            yield head, _chunks(answer, request, hop, timeout[1])

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()
        self._session.close()


def read_all(chunks: Iterator[bytes], path: str, *, seconds: float, limit: int = MAX_MESSAGE_BYTES) -> bytes:
    """Return a body, cut at a limit.

    Raises:
        TransientError: When it has no end within some seconds: a server may send a byte now and then for ever.
    """
    body = bytearray()
    deadline = time.monotonic() + seconds
    for chunk in chunks:
        if time.monotonic() > deadline:
            raise TransientError(
                f"the answer for {path} has no end within {seconds:.0f} s", path=path, remedy="try again later"
            )
        body += chunk
        if len(body) >= limit:
            break
    return bytes(body[:limit])


def excerpt(chunks: Iterator[bytes], path: str) -> bytes:
    """Return the first bytes of an error's body; a broken one is no further error."""
    try:
        return read_all(chunks, path, seconds=EXCERPT_SECONDS, limit=EXCERPT_BYTES)
    except CtaError:
        return b""


def _chunks(answer: requests.Response, request: Request, hop: Hop, timeout: float) -> Iterator[bytes]:
    waited, received = 0.0, 0
    try:
        while True:
            begun = time.monotonic()
            # What has arrived, not a full buffer: a listing is used as it comes, and a slow answer is noticed.
            chunk = answer.raw.read1(PIECE, decode_content=False)
            waited += time.monotonic() - begun
            received += len(chunk)
            if not chunk:
                return
            _check_encoding(answer, request)
            if waited > PATIENCE_FACTOR * timeout and received < waited * SLOWEST:
                raise TransientError(
                    f"the answer for {request.path} came to {received} bytes in {waited:.0f} s: it has no end",
                    path=request.path,
                    remedy="try again later",
                )
            yield chunk
    except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        if isinstance(error, CtaError):
            raise
        raise _translated(error, request, hop) from error


def _check_encoding(answer: requests.Response, request: Request) -> None:
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise StorageError(
            f"the answer for {request.path} is packed ({encoding[:20]!r}), which was not asked for",
            path=request.path,
            remedy="tell the server's operators",
        )


def _translated(error: Exception, request: Request, hop: Hop, *, certified: bool = False) -> CtaError:
    """Say an exception of requests in libcurl's words: its own text may hold the whole URL."""
    text, code = _reason(error)
    translated = error_for_curl(code, text, act=request.act, path=request.path, url=hop.shown)
    if certified and text == TLS_BROKE:
        # With TLS 1.3 a refusal comes after the handshake, and may be overtaken by the end of the connection.
        translated.remedy = "check that the server trusts the CA of your proxy or certificate, or try again later"
    for link in _chain(error):
        link.__traceback__ = None  # urllib3's frames hold the headers, and with them the token
        # A signed URL, or what the server has said, stands in there, and `from error` would show it in a trace.
        if not isinstance(link, OSError) or isinstance(link, requests.RequestException):
            link.args = ()
    return translated


def _reason(error: Exception) -> tuple[str, int]:
    """Return what happened and libcurl's code for it, by the kinds in the chain: their texts hold the URL."""
    chain = list(_chain(error))

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    tls = " ".join(str(link) for link in chain if isinstance(link, ssl.SSLError)).lower()
    if "certificate verify failed" in tls or has(ssl.SSLCertVerificationError):
        return "the server's certificate could not be verified (certificate verify failed)", 60
    if "alert" in tls:
        return "the server refused the client certificate (TLS alert certificate)", 56
    if has(HeaderTooLong, http.client.LineTooLong) or any(type(link) is http.client.HTTPException for link in chain):
        return "the header of the answer is too long", 100
    if has(urllib3.exceptions.NameResolutionError, socket.gaierror):
        return "could not resolve the host name", 6
    if has(ConnectionRefusedError):
        return "connection refused", 7
    if has(requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError):
        return "no connection in time", 28
    if has(requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
        return "no answer in time", 28
    if has(ValueError) and not has(urllib3.exceptions.HTTPError):
        return "the URL cannot be used", 3
    return (TLS_BROKE if tls else "the connection failed or broke"), 56


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        current = todo.pop()
        if not isinstance(current, BaseException) or current in seen or len(seen) > 20:
            continue
        seen.append(current)
        yield current
        todo += [current.__cause__, current.__context__, getattr(current, "reason", None)]
        todo += current.args
