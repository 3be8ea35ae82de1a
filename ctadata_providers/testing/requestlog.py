"""What the fake servers were asked, for assertions; secrets are kept as fingerprints only."""

import hashlib
import re
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import parse_qsl, urlencode

# A sandbox may run for days: old requests are forgotten.
_MAX_RECORDS = 200_000
# `?authz=` carries a token; the uuid is the credential at a pool.
_SECRET_QUERY = frozenset(
    {
        *("authz", "dcache-http-uuid", "code", "device_code", "token", "access_token", "refresh_token", "id_token"),
        *("client_secret", "password", "client_assertion", "service-token"),
    }
)
# Authorization, Proxy-Authorization, TransferHeaderAuthorization, X-Auth-Token...; a Lock-Token is no secret.
_SECRET_HEADERS = ("authorization", "cookie", "auth-token", "api-key")
# Inside of other text: a user with a password, a parameter as above, a JWT.
_SECRET_TEXT = re.compile(
    rf"(?P<before>://|\b(?:{'|'.join(sorted(_SECRET_QUERY))})(?:=|%3[dD]))"
    r"(?:(?<=://)[^/@\s]+(?=@)|(?<!://)[^&\s\"'<>]+)|\beyJ[\w-]+(?:\.[\w-]*)*"
)

ServerName = Literal["door", "pool", "issuer", "hub", "downloadservice", "certificateservice", "storage"]


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request as a fake server saw it.

    Attributes:
        server: Which kind of server received it.
        method: The HTTP method.
        path: The percent-decoded path.
        query: The query string; tokens and pool uuids in it are fingerprints.
        status: The status answered, 0 when the client left before an answer.
        headers: Lower-case names; credentials in them are fingerprints.
        sent: Bytes of request body that arrived.
        form: The fields of a form that the issuer was sent; secrets among them are fingerprints.
        error: The error code that the issuer answered, if any.
        by_door: Whether a door asked, for a copy from or to another one, and not a client.
    """

    server: ServerName
    method: str
    path: str
    query: str
    status: int
    headers: dict[str, str]
    sent: int
    form: dict[str, str] = field(default_factory=dict)
    error: str = ""
    by_door: bool = False


class Record:
    """A request in the log, whose count of received bytes may still grow."""

    __slots__ = ("request",)

    def __init__(self, request: LoggedRequest) -> None:
        self.request = request

    def set_sent(self, sent: int) -> None:
        """Correct the number of bytes that arrived in the body."""
        if sent != self.request.sent:
            self.request = replace(self.request, sent=sent)


class RequestLog:
    """The requests of all servers in the order of their answers. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: deque[Record] = deque(maxlen=_MAX_RECORDS)
        self.cleared = 0
        """How often it was cleared."""

    def add(self, request: LoggedRequest, arrived: int) -> Record:
        """Append a request, unless the log was cleared since.

        Args:
            request: It.
            arrived: What `cleared` was when it arrived: its client may have left long ago, in another test.
        """
        record = Record(request)
        with self._lock:
            if arrived == self.cleared:
                self._records.append(record)
        return record

    def clear(self) -> None:
        """Forget everything that has arrived."""
        with self._lock:
            self._records.clear()
            self.cleared += 1

    def renew_lock(self) -> None:
        """Forget who holds the lock: in a fork, it may be a thread that is not there."""
        self._lock = threading.Lock()

    def requests(self) -> list[LoggedRequest]:
        """Return what was asked so far."""
        with self._lock:
            return [record.request for record in self._records]


def fingerprint(secret: str) -> str:
    """Return a short hash by which a test recognises a secret that the log must not hold."""
    digest = hashlib.sha256(secret.encode(errors="surrogateescape"))  # a header may be no UTF-8
    return f"sha256:{digest.hexdigest()[:16]}"


def safe_text(text: str) -> str:
    """Return a text with the secrets in it as fingerprints.

    >>> safe_text("https://me:pass@door/x?authz=secret&y=1")
    'https://sha256:1821af43763136be@door/x?authz=sha256:2bb80d537b1da3e3&y=1'
    """
    return _SECRET_TEXT.sub(_hide, text)


def _hide(found: re.Match[str]) -> str:
    before = found["before"] or ""
    return before + fingerprint(found[0].removeprefix(before))


def safe_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by lower-case name with credentials as fingerprints (`Bearer sha256:..`)."""
    safe = {}
    for name, value in headers:
        key = name.lower()
        if key.endswith(_SECRET_HEADERS):
            scheme, blank, secret = value.partition(" ")
            safe[key] = f"{scheme} {fingerprint(secret)}" if blank else fingerprint(value)
        else:
            safe[key] = safe_text(value)
    return safe


def safe_query(query: str) -> str:
    """Return a query string with tokens and pool uuids as fingerprints."""
    if not query:
        return ""
    return urlencode(_safe_pairs(parse_qsl(query, keep_blank_values=True)), safe=":/")


def safe_form(form: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a form with secrets as fingerprints."""
    return dict(_safe_pairs(form.items()))


def _safe_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(k, fingerprint(v) if k in _SECRET_QUERY else safe_text(v)) for k, v in pairs]
