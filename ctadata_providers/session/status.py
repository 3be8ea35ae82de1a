"""One mapping of what HTTP and libcurl say to our errors, for both stacks."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import unquote

from ctadata_providers.errors import (
    AlreadyExistsError,
    CredentialError,
    CtaError,
    IntegrityError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    StorageError,
    TransientError,
    UnsupportedError,
)
from ctadata_providers.transport.proxies import proxy_for

EXCERPT_BYTES = 2048
LONGEST_REASON = 160
TELLING = 12
"""So many first characters tell a secret from another word."""
ADDRESS = "the address (door_url, service_url)"
"""What is to be checked where no server answers, or another one than is meant."""
_NO_CREDENTIAL = "say 'ctadata login', or give token_file (BEARER_TOKEN_FILE) or proxy_file (X509_USER_PROXY)"
_TRANSIENT = frozenset({408, 423, 425, 429})
_NOT_TRANSIENT = frozenset({501, 507})
_MULTI_STATUS = 207
NOT_SATISFIABLE = 416
PHRASES = {status.value: status.phrase for status in HTTPStatus}
_READ_ONLY = re.compile("(?i)marked read/only|read-only file system")
"""What XRootD says of what cannot be written, with status 500."""
_CHANGING = frozenset({"COPY", "DELETE", "MKCOL", "MOVE", "PUT"})
_PATIENCE = "try again later; if it stays, tell the server's operators"
_SECRET = re.compile(r"(?i)(bearer(?:[ +]|%20)|authz=|access_token=|token=|uuid=)[\w.~+/%=-]{8,}|eyJ[\w.-]{20,}")


@dataclass(frozen=True, slots=True)
class Response:
    """What came back.

    Attributes:
        status: HTTP status.
        reason: Reason phrase; dCache says there what is wrong.
        headers: Names in lower case.
        url: Where it came from, shown without its query.
        body: The body of a message, or an excerpt of an error's.
        arrived: When its head did, epoch seconds; its body may take hours.
    """

    status: int
    reason: str
    headers: Mapping[str, str] = field(repr=False)
    url: str
    body: bytes = field(default=b"", repr=False)
    arrived: float = field(default_factory=lambda: time.time(), compare=False)  # a test may set the clock

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300


def meant(response: Response, method: str) -> Response:
    """Return an answer as its server means it, that to a COPY with all that is said about a refusal in its reason.

    XRootD (5.5.3, 5.8.1) and dCache say 401 to a COPY where a right is missing. As any other 401 it would have the
    credential taken for a bad one.
    """
    if method != "COPY" or response.status < 400:
        return response
    server = response.headers.get("server", "").lower()
    reason, text = response.reason, _excerpt(response)
    said = reason if not text or text == reason else f"{reason}: {text}"
    of_right = "xrootd" in server or ("dcache" in server and "permission denied" in said.lower())
    return replace(response, status=403 if of_right and response.status == 401 else response.status, reason=said)


def succeeded(response: Response, method: str) -> bool:
    """Tell whether an answer says that all was done: 207 to a change tells what of it was not (RFC 4918, section 9)."""
    return response.ok and (response.status != _MULTI_STATUS or method not in _CHANGING)


def error_for(
    response: Response,
    *,
    act: str,
    path: str,
    secret: str | None,
    hidden: Sequence[str] = (),
    ended: bool = False,
    instead: str | None = None,
    now: float | None = None,
) -> CtaError:
    """Return the error that an answer other than success means.

    Args:
        response: What came back.
        act: What was tried, e.g. `download`.
        path: The path that it was tried on.
        secret: The credential that was sent, which the server may repeat; empty for a certificate, None for none.
        hidden: What else the server may repeat and nobody is to see, as the parts of a signed URL.
        ended: Whether the credential's own time is over; XRootD then says 403, as it does for all.
        instead: What else can be done where no credential was sent.
        now: Epoch seconds, for a `Retry-After` that is a date.
    """
    status = response.status
    secrets = (*filter(None, (secret,)), *hidden)
    said = f"{status} {_words(response, secrets)}".strip()
    message = f"cannot {act} {path}: {response.url.partition('?')[0]} answered {said}"
    lacking = f"{_NO_CREDENTIAL}; or, {instead}" if instead else _NO_CREDENTIAL
    if ended:
        return CredentialError(
            f"{message} (and the token has expired)",
            path=path,
            remedy="get a new token (for example by 'ctadata login') and run again",
        )
    if status == 401:
        hint = (
            "the credential is wrong, expired, or not for this door: get a new token" if secret is not None else lacking
        )
        return CredentialError(message, path=path, remedy=hint)
    if status == 400 and "checksum mismatch" in (response.reason + _excerpt(response)).lower():
        return IntegrityError(message, path=path, status=status, remedy="the bytes changed on the way: try again")
    if status == 500 and _READ_ONLY.search(_excerpt(response)):
        return PermissionDeniedError(
            message,
            path=path,
            status=status,
            remedy="nothing can be written there: choose another path, or another door",
        )
    if status in _TRANSIENT or (status >= 500 and status not in _NOT_TRANSIENT):
        wait = _retry_after(response.headers.get("retry-after"), time.time() if now is None else now)
        return TransientError(message, path=path, status=status, retry_after=wait, remedy=_PATIENCE)
    kind, remedy = _KINDS.get(status, (StorageError, None))
    if status == 403 and secret is None:
        remedy = lacking
    return kind(message, path=path, status=status, remedy=remedy)


_KINDS: Mapping[int, tuple[type[StorageError], str | None]] = {
    _MULTI_STATUS: (StorageError, "it may be done in part: look at what is there before you try again"),
    403: (PermissionDeniedError, "the credential does not allow this there: check its scopes, its life, and the path"),
    404: (NotFoundError, "check the path (ctadata list shows what is there)"),
    410: (NotFoundError, "check the path (ctadata list shows what is there)"),
    405: (UnsupportedError, f"check that the path and {ADDRESS} belong to a WebDAV door"),
    409: (NotFoundError, "a parent folder is missing, or the server refuses to overwrite"),
    412: (AlreadyExistsError, "remove it first, or allow overwriting"),
    413: (QuotaError, "the file is larger than the server takes"),
    501: (UnsupportedError, "the server does not do this"),
    507: (QuotaError, "the server has no space or quota left: free some, or write elsewhere"),
}

# Codes of libcurl (curl/curl.h), named here so that pycurl is not imported for them.
_RESOLVE, _CONNECT, _TIMEOUT, _SSL_CONNECT, _PEER_VERIFY, _SSL_CERT, _PROXY_RESOLVE = 6, 7, 28, 35, 60, 58, 5
_CACERT_FILE, _TOO_LARGE, _WEIRD = 77, 100, 8


def error_for_curl(code: int, text: str, *, act: str, path: str, url: str) -> CtaError:
    """Return the error that a failed transport means.

    An expired or refused client certificate shows as an alert on the first read (TLS 1.3), under many codes.
    """
    where = url.partition("?")[0]
    message = f"cannot {act} {path}: {where}: {scrubbed(text)}"
    if re.search(r"(?i)alert.*(certificate|unknown ca|handshake failure|access denied)", text):
        return CredentialError(
            message, path=path, remedy="the server refuses the client certificate: make a new proxy, check its CA"
        )
    if code in (_PEER_VERIFY, _CACERT_FILE) or "certificate verify failed" in text.lower():
        return StorageError(message, path=path, remedy="the server's certificate is not trusted: set ca_path to its CA")
    if code == _TOO_LARGE or "too large response headers" in text.lower():
        return error_for_header(act=act, path=path, url=url)
    if code == _WEIRD and "location" in text.lower():
        return StorageError(message, path=path, remedy="tell the server's operators")
    if code == _SSL_CERT:
        return CredentialError(message, path=path, remedy="check proxy_file, cert_file and key_file")
    remedy = _PATIENCE
    if code in (_RESOLVE, _PROXY_RESOLVE):
        remedy = f"the host name is unknown: check {ADDRESS} and the network"
    elif code in (_CONNECT, _TIMEOUT):
        proxy = proxy_for(url).rpartition("@")[2]  # without the user's name and password
        through = f"the proxy that the environment names ({proxy}), " if proxy else ""
        remedy = f"check {through}{ADDRESS} and the network, or try again later"
    return TransientError(message, path=path, remedy=remedy)


def error_for_header(*, act: str, path: str, url: str) -> StorageError:
    """Return the error of an answer whose header is longer than any that a server means well."""
    return StorageError(
        f"cannot {act} {path}: {url.partition('?')[0]}: the header of the answer is too long, or has no end",
        path=path,
        remedy=f"check that {ADDRESS} is that of a WebDAV door, or tell the server's operators",
    )


def http_time(text: str) -> float | None:
    """Return a time as HTTP writes it (RFC 9110) in epoch seconds, None for what is none; without a zone it is UTC."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _retry_after(value: str | None, now: float) -> float | None:
    """Read `Retry-After`, seconds or a date (RFC 9110)."""
    if value is None:
        return None
    seconds = value.strip()
    if seconds.isascii() and seconds.isdecimal():
        return float(seconds[:9])
    then = http_time(value)
    return None if then is None else max(0.0, then - now)


def _words(response: Response, secrets: Sequence[str]) -> str:
    """Return what a server says: XRootD has the usual phrase of a status, and what is wrong in a line of its own."""
    reason, text = scrubbed(response.reason, secrets), _excerpt(response, secrets)
    if not reason or response.status == _MULTI_STATUS:
        return text
    is_usual = reason == PHRASES.get(response.status) and response.status != 404
    return f"{reason}: {text}" if is_usual and text and text != reason and b"<" not in response.body else reason


def _excerpt(response: Response, secrets: Sequence[str] = ()) -> str:
    """Return the first words of an error's body, without markup."""
    text = re.sub(r"<[^>]*>", " ", response.body[:EXCERPT_BYTES].decode("utf-8", "replace"))
    return scrubbed(" ".join(text.split()), secrets)


def scrubbed(text: str, secrets: Sequence[str] = ()) -> str:
    """Return a line without secrets, also those that are repeated in part or encoded."""
    printable = "".join(c if c.isprintable() else " " for c in text).strip()
    starts = [secret[:TELLING] for secret in secrets]
    decoded = unquote(unquote(printable))
    if any(start in decoded and start not in printable for start in starts):
        printable = decoded
    for start in starts:
        printable = re.sub(re.escape(start) + r"\S*", "<secret>", printable)
    return _SECRET.sub("<secret>", printable)[:LONGEST_REASON]
