"""Requests of httpx, sent by our session: it decides redirects, credentials, trust, proxies, time-outs and errors."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from urllib.parse import unquote, urlsplit
from xml.parsers import expat

import httpx

from ctadata_providers.backends.servers import Server, identify, is_plain
from ctadata_providers.backends.services.urls import twice_quoted
from ctadata_providers.errors import CredentialError, StorageError, TransientError, UnsupportedError
from ctadata_providers.session import Request, Response, Session
from ctadata_providers.session.services import JSON
from ctadata_providers.session.status import ADDRESS

LONGEST_LISTING = 512 * 1024 * 1024
"""Bytes of an answer that webdav4 parses whole: some 500,000 entries."""
MEANT = frozenset({403, 404, 405, 409, 412, 416, 423, 502, 507})
"""Statuses for which webdav4 has errors of its own; for all others ours are raised."""
_MEANT_OF_BYTES = frozenset({416})
"""The one of a GET: for all others webdav4 would let an error of httpx pass."""
_REPEATED = frozenset({"PROPFIND", "OPTIONS", "GET", "HEAD", "MKCOL"})
"""Methods that do no harm when they are sent again after a fault."""
_OURS = frozenset(
    {
        *("host", "accept-encoding", "connection", "content-length", "transfer-encoding", "te", "expect"),
        *("authorization", "cookie", "user-agent"),
    }
)
"""Headers that httpx adds, and those that are the session's affair."""
_BEGIN = re.compile(rb"<(?:[\w.-]+:)?multistatus[\s>]")
_END = re.compile(rb"</(?:[\w.-]+:)?multistatus\s*>")
_AT_THE_END = 4096
_ENCODINGS = frozenset({"utf-8", "us-ascii", "iso-8859-1"})
"""Those that expat and Python read alike: of others, such as unicode_escape, each may read another text."""
MULTISTATUS = 207
"""What webdav4 parses, whatever the method."""
_NOT_AT_SERVICE = frozenset({"DELETE", "MOVE", "COPY", "LOCK", "UNLOCK", "POST"})
_ACTS = {"PROPFIND": "look up", "GET": "download", "MKCOL": "make folder", "DELETE": "remove", "MOVE": "rename"}


class SessionTransport(httpx.BaseTransport):
    """What httpx sends its requests with; it never sees a redirect, and holds no credential.

    Attributes:
        is_service: Whether it speaks to the downloadservice rather than to a door.

    Args:
        session: Sends them.
        base: Path below which the storage lies.
        first_byte: Seconds that a download may take to begin.
        is_service: Whether it is the downloadservice rather than a door.
    """

    def __init__(self, session: Session, *, base: str, first_byte: float, is_service: bool = False) -> None:
        self._session = session
        self._base = base.rstrip("/")
        self._first_byte = first_byte
        self.is_service = is_service

    @property
    def server(self) -> Server:
        """What the server is, as far as its answers have told."""
        return identify(self._session.server_header)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            CtaError: For whatever webdav4 has no error of its own.
        """
        body = request.read()
        asked = self._asked(request, body)

        def once() -> httpx.Response:
            with ExitStack() as stack:
                head, chunks = stack.enter_context(self._session.stream(asked))
                if request.method == "PROPFIND" or head.status == MULTISTATUS:
                    return _listing(head, chunks, asked.path)
                return _answer(head, _Body(chunks, stack.pop_all()))

        try:
            return self._session.policy.call(once) if request.method in _REPEATED else once()
        except StorageError as error:
            if error.status not in (_MEANT_OF_BYTES if request.method == "GET" else MEANT):
                raise
            # webdav4 tells the reason phrase: so ours is told, and what can be done.
            reason = str(error).encode("ascii", "backslashreplace")
            return httpx.Response(error.status, extensions={"reason_phrase": reason})

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

    def _asked(self, request: httpx.Request, body: bytes) -> Request:
        method, path = request.method, self._path(request.url)
        headers = {name.title(): value for name, value in request.headers.items() if name not in _OURS}
        if self.is_service and method in _NOT_AT_SERVICE:
            raise UnsupportedError(
                f"cannot {_act(method)} {path}: the downloadservice does not do this",
                path=path,
                remedy="use a direct door (--backend webdav, door_url)",
            )
        self._check_names(request, path, headers)
        self._check_target(request, headers)
        if self.is_service and not body and method in ("PROPFIND", "GET", "OPTIONS", "HEAD"):
            headers["Content-Type"] = JSON  # then it answers 401 to a bad token, else it redirects
        if "Destination" in headers and self.server.literal_hrefs:
            headers["Destination"] = unquote(headers["Destination"]).encode().decode("latin-1")
        return Request(
            method=method,
            url=self._url(request.url),
            path=path,
            act=_act(method),
            headers=headers,
            body=body or None,
            timeout=self._first_byte if method == "GET" else None,
        )

    def _path(self, url: httpx.URL) -> str:
        """Return the path of a URL in the storage, for messages."""
        return url.path.removeprefix(self._base) or "/"

    def _url(self, url: httpx.URL) -> str:
        """Return the URL to send; the service decodes a path twice."""
        if not self.is_service or not url.path.startswith(f"{self._base}/"):
            return str(url)
        below = twice_quoted(url.path[len(self._base) :])
        return f"{url.scheme}://{url.netloc.decode('ascii')}{self._base}{below}"

    def _check_names(self, request: httpx.Request, path: str, headers: Mapping[str, str]) -> None:
        """Refuse what XRootD would cut, and so take for another file."""
        target = unquote(urlsplit(headers.get("Destination", "")).path)
        if "?" in path + target:
            self._meet(request, path)
            if self.server.cuts_query:
                raise UnsupportedError(
                    f"{self.server.name} cuts a name at '?' and would meet another file: {path}",
                    path=path,
                    remedy="use a name without '?'",
                )

    def _check_target(self, request: httpx.Request, headers: Mapping[str, str]) -> None:
        """Refuse a MOVE or COPY that would lead elsewhere, as the backend of a door does."""
        target = unquote(urlsplit(headers.get("Destination", "")).path).removeprefix(self._base)
        if not target or (request.method == "MOVE" and is_plain(target)):
            return
        self._meet(request, "/")
        if request.method == "COPY" and not self.server.copies_inside:
            raise UnsupportedError(
                f"{self.server.name} has no COPY of its own",
                path=target,
                remedy="copy it with 'ctadata cp' (CtaClient.copy), which finds another way",
            )
        if not self.server.can_rename_to(target):
            raise UnsupportedError(
                f"this server does not rename rightly to {target}", path=target, remedy="use another name"
            )

    def _meet(self, request: httpx.Request, path: str) -> None:
        """Make sure that it is known what the server is; of a service, what the storage is that it passes on."""
        if self._session.server_header is not None:
            return
        place = f"{self._base}/{path.split('/')[1]}" if self.is_service else "/"
        url = self._url(request.url.copy_with(path=place))
        try:
            self._session.message(Request(method="OPTIONS", url=url, path="/", act="reach"))
        except (StorageError, CredentialError):
            if self._session.server_header is None:
                raise  # any answer will do, but there was none


class _Body(httpx.SyncByteStream):
    """A body as it arrives; it ends with the session's exchange."""

    def __init__(self, chunks: Iterator[bytes], stack: ExitStack) -> None:
        self._chunks = chunks
        self._stack = stack

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self._stack.close()


def _act(method: str) -> str:
    return _ACTS.get(method, method.lower())


def _answer(head: Response, stream: httpx.SyncByteStream, **headers: str) -> httpx.Response:
    reason = head.reason.encode("ascii", "replace")
    told = {**head.headers, **headers}
    return httpx.Response(head.status, headers=told, stream=stream, extensions={"reason_phrase": reason})


def _listing(head: Response, chunks: Iterator[bytes], path: str) -> httpx.Response:
    """Return an answer that webdav4 will parse whole: only if that is safe.

    Raises:
        StorageError: When it is not, or when it cannot be parsed.
        TransientError: When it broke off.
    """
    body, guard = bytearray(), _Guard()
    for chunk in chunks:
        body += chunk
        if len(body) > LONGEST_LISTING or not guard.allows(chunk):
            raise StorageError(
                f"the answer for {path} is too long, or is not what a listing may be",
                path=path,
                remedy="list a smaller folder, or use CtaClient.list_dir, which takes any",
            )
    content = bytes(body)
    _require_end(content, path)
    if head.status == MULTISTATUS and not (guard.allows(b"", final=True) and guard.understands):
        raise no_listing(path)
    # webdav4 takes the encoding from here, and would read another text than the one that was looked at.
    kind = f"application/xml; charset={guard.encoding}"
    return _answer(head, httpx.ByteStream(content), **{"content-type": kind})


class _Guard:
    """Reads XML ahead of webdav4, whose parser takes document types and entities.

    Attributes:
        encoding: What the text is encoded in.
        understands: Whether it has been XML so far.
    """

    def __init__(self) -> None:
        self.encoding = "utf-8"
        self.understands = True
        self._hostile = False
        self._parser = expat.ParserCreate()
        self._parser.XmlDeclHandler = self._take_declaration
        self._parser.StartDoctypeDeclHandler = self._parser.EntityDeclHandler = self._refuse

    def allows(self, data: bytes, *, final: bool = False) -> bool:
        """Tell whether the next bytes may go on to webdav4."""
        if self.understands:
            try:
                self._parser.Parse(data, final)
            except _HostileXml:
                self._hostile, self.understands = True, False
            except (expat.ExpatError, ValueError, LookupError):
                self.understands = False
        return not self._hostile and b"\0" not in data  # as in UTF-16: webdav4 would guess another byte order

    def _take_declaration(self, _: str, encoding: str | None, __: int) -> None:
        self.encoding = (encoding or self.encoding).lower()
        if self.encoding not in _ENCODINGS:
            raise _HostileXml

    def _refuse(self, *_: object) -> None:
        raise _HostileXml


class _HostileXml(Exception):
    """The answer is not what any WebDAV server sends."""


def no_listing(path: str) -> StorageError:
    """Return what to raise over an answer that is no listing."""
    return StorageError(
        f"the answer for {path} is not a WebDAV listing of it",
        path=path,
        remedy=f"check that {ADDRESS} is that of a WebDAV door",
    )


def _require_end(body: bytes, path: str) -> None:
    """See that a listing that begins also ends: its sender may have broken off in good order.

    Raises:
        TransientError: When it does not.
    """
    if (begin := _BEGIN.search(body[:_AT_THE_END])) is None or _END.search(body[-_AT_THE_END:]):
        return
    if body[: body.find(b">", begin.start()) + 1].endswith(b"/>"):
        return  # one of nothing
    raise TransientError(f"the listing of {path} broke off", path=path, remedy="try again later")
