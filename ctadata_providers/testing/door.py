"""The WebDAV door of the fake data centre: the namespace, logins, and redirects to pools.

What is said here of dCache was read in its webdav module and in Milton 2.7, unless another source is given.
"""

import asyncio
import itertools
import ssl
from collections.abc import Iterator, Sequence
from html import escape
from typing import Literal
from urllib.parse import unquote, urlsplit

from aiohttp import web

from ctadata_providers import uri
from ctadata_providers.errors import NotADirError
from ctadata_providers.testing import propfind
from ctadata_providers.testing.digests import digest_header, wanted_algorithms
from ctadata_providers.testing.pool import PATIENCE, Pool, receive
from ctadata_providers.testing.requestlog import RequestLog
from ctadata_providers.testing.server import Exchange, Refusal, Server, quote_path
from ctadata_providers.testing.storage import Entry, Storage
from ctadata_providers.testing.tokens import EVERYTHING, READING, Activity, Login, LoginError, TokenIssuer

SERVER = "dCache/10.2.25 (fake)"
REALM = 'Basic realm="dCache"'
# Depth "infinity" goes this far, without a word (dCache issue 7850).
_INFINITY = 3
_METHODS = "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, MOVE, PROPFIND"
_NOT_ALLOWED = frozenset({"LOCK", "UNLOCK", "PROPPATCH", "POST"})
_BATCH = 500

Anonymous = Literal["none", "readonly", "full"]
_ANONYMOUS_GRANTS = {"none": (), "readonly": ((READING, "/"),), "full": ((EVERYTHING, "/"),)}


class Door(Server):
    """The door.

    Args:
        storage: The namespace.
        pools: Where bytes are sent and received.
        issuer: Who checks tokens.
        anonymous: What a client without credential may do.
        overwrite: `webdav.enable.overwrite`; False answers 409 to a PUT on an existing file.
    """

    def __init__(
        self,
        storage: Storage,
        pools: Sequence[Pool],
        *,
        issuer: TokenIssuer,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        log: RequestLog,
        anonymous: Anonymous = "none",
        overwrite: bool = True,
    ) -> None:
        super().__init__("door", host=host, port=port, tls=tls, log=log)
        self._storage = storage
        self._pools = itertools.cycle(pools)
        self._issuer = issuer
        self._anonymous = Login(subject=None, grants=_ANONYMOUS_GRANTS[anonymous])
        self._overwrite = overwrite
        self._handlers = {
            "GET": self._get,
            "HEAD": self._head,
            "PUT": self._put,
            "DELETE": self._delete,
            "MKCOL": self._mkcol,
            "MOVE": self._move,
            "PROPFIND": self._propfind,
        }

    async def handle(self, exchange: Exchange) -> web.StreamResponse:
        """Answer a WebDAV request."""
        if exchange.method == "OPTIONS":
            return _answer(200, {"DAV": "1", "MS-Author-Via": "DAV", "Allow": _METHODS})
        login = self._login(exchange)
        handler = self._handlers.get(exchange.method)
        if handler is None:
            if exchange.method in _NOT_ALLOWED:
                raise Refusal(405, "Method not allowed", {"Allow": _METHODS})
            # COPY inside dCache does not exist (dCache issue 6950).
            raise Refusal(501, f"{exchange.method} is not implemented")
        return await handler(exchange, login)

    def refuse(self, exchange: Exchange, refusal: Refusal) -> web.Response:
        """Answer with one line of text; the reason of a failed login stands in the status line."""
        headers = {"Server": SERVER, **refusal.headers}
        reason = None
        if refusal.status == 401:
            reason = refusal.text
            if exchange.headers.get("Suppress-WWW-Authenticate") != "1":
                headers["WWW-Authenticate"] = REALM
        return web.Response(status=refusal.status, reason=reason, headers=headers, text=f"{refusal.text}\n")

    # Logins

    def _login(self, exchange: Exchange) -> Login:
        scheme, _, token = exchange.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            if scheme:
                raise Refusal(401, "Login failed: only bearer tokens are accepted")
            token = exchange.query.get("authz", "").removeprefix("Bearer ")
            if not token:
                return self._anonymous
        if self._tls is None:
            raise Refusal(401, "Login failed: not allowed to send bearer token unencrypted")
        try:
            return self._issuer.login(token.strip())
        except LoginError as error:
            raise Refusal(401, f"Login failed: {error}") from error

    def _require(self, login: Login, activity: Activity, path: str) -> None:
        if not login.may(activity, path):
            raise Refusal(401 if login.subject is None else 403, "Permission denied")

    def _find(self, login: Login, path: str) -> Entry:
        self._require(login, Activity.READ_METADATA, path)
        entry = self._storage.stat(path)
        if entry is None:
            raise Refusal(404, f"The requested resource does not exist: {path}")
        return entry

    # Reading

    async def _get(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        entry = self._find(login, exchange.path)
        if entry.is_dir:
            if not exchange.ends_in_slash:
                return _answer(302, {"Location": f"{self.url}{quote_path(entry.path)}/"})
            self._require(login, Activity.LIST, entry.path)
            return web.Response(text=self._html(entry), content_type="text/html", headers={"Server": SERVER})
        self._require(login, Activity.DOWNLOAD, entry.path)
        if entry.size is None:
            raise Refusal(500, "File upload not yet completed")
        return _answer(302, {"Location": next(self._pools).open(entry, is_upload=False, door_url=self.url)})

    def _html(self, folder: Entry) -> str:
        names = sorted(
            f"{child.name}/" if child.is_dir else child.name for child in self._storage.children(folder.path)
        )
        rows = "".join(f'<li><a href="{quote_path(name)}">{escape(name)}</a></li>\n' for name in names)
        return f"<!DOCTYPE html>\n<title>{escape(folder.path)}</title>\n<ul>\n{rows}</ul>\n"

    async def _head(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        entry = self._find(login, exchange.path)
        if entry.is_dir:
            return _answer(200, {"Content-Type": "text/html"})
        headers = {
            "Accept-Ranges": "bytes",
            "ETag": entry.etag,
            "Last-Modified": propfind.http_date(entry.mtime_ns),
        }
        if entry.size is not None:
            headers["Content-Length"] = str(entry.size)
        if wanted := exchange.headers.get("Want-Digest"):
            headers |= digest_header(wanted, await self._checksums(entry))
        return _answer(200, headers)

    async def _checksums(self, entry: Entry) -> dict[str, str]:
        if self._storage.has_checksums(entry):
            return dict(self._storage.checksums(entry))
        return dict(await asyncio.to_thread(self._storage.checksums, entry))

    async def _propfind(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        try:
            question = propfind.parse_question(await exchange.body())
        except propfind.BadQuestionError as error:
            raise Refusal(400, f"Bad PROPFIND: {error}") from error
        entry = self._find(login, exchange.path)
        depth = {"0": 0, "1": 1}.get(exchange.headers.get("Depth", ""), _INFINITY)
        texts = propfind.responses(question, self._tree(entry, depth, login), self._storage.checksums)
        # Reading files for their checksums must not hold up other clients.
        slow = question.wants_checksums and self._storage.is_foreign
        return await _answer_listing(exchange, texts, slow=slow)

    def _tree(self, entry: Entry, depth: int, login: Login) -> Iterator[Entry]:
        """Yield an entry and what is below it; folders that may not be listed seem empty."""
        yield entry
        if depth and entry.is_dir and login.may(Activity.LIST, entry.path):
            for child in self._storage.children(entry.path):
                yield from self._tree(child, depth - 1, login)

    # Writing

    async def _put(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        entry = self._prepare_put(exchange, login)
        wanted = frozenset(wanted_algorithms(exchange.headers.get("Want-Digest")))
        if exchange.expects_continue and not exchange.received:
            location = next(self._pools).open(entry, is_upload=True, door_url=self.url, algorithms=wanted)
            return _answer(307, {"Location": location})
        # Without Expect, or when the body is already on its way, the door relays it.
        try:
            stored = await receive(exchange, self._storage, entry, wanted, keep_corrupt=False)
        except BaseException:
            self._storage.discard(entry)
            raise
        digest = digest_header(exchange.headers.get("Want-Digest"), self._storage.checksums(stored))
        return _answer(201, {"ETag": stored.etag, **digest})

    def _prepare_put(self, exchange: Exchange, login: Login) -> Entry:
        """Check an upload, delete the old file, and return the new, empty entry."""
        path = exchange.path
        self._require(login, Activity.READ_METADATA, path)
        old = self._storage.stat(path)
        if old is not None and exchange.headers.get("If-None-Match", "").strip() == "*":
            raise Refusal(412, "Precondition failed: the resource exists")
        if old is not None and old.is_dir:
            raise Refusal(405, "Method not allowed on a collection")
        if old is not None and not self._overwrite:
            raise Refusal(409, "Conflict: the resource exists and may not be overwritten")
        try:
            parents = self._storage.missing_parents(path)
        except NotADirError as error:
            raise Refusal(409, "Conflict: a parent is not a collection") from error
        for parent in parents:
            self._require(login, Activity.MANAGE, parent)
        if old is not None:
            self._require(login, Activity.DELETE, path)
        self._require(login, Activity.UPLOAD, path)
        if old is not None:
            self._storage.remove(path)
        free = self._storage.free()
        if free is not None and (exchange.request.content_length or 0) > free:
            raise Refusal(507, "No space left for the upload")
        return self._storage.create(path, patience=PATIENCE)

    async def _mkcol(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        path = exchange.path
        self._require(login, Activity.MANAGE, path)
        if self._storage.stat(path) is not None:
            raise Refusal(405, "Method not allowed: the resource exists")
        self._require_parent(path)
        self._storage.make_dir(path)
        return _answer(201)

    async def _move(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        source = self._find(login, exchange.path)
        target = _destination(exchange)
        if target == source.path:
            raise Refusal(403, "Source and destination are the same")
        if target.startswith(f"{source.path.rstrip('/')}/"):
            raise Refusal(409, "Conflict: the destination is inside the source")
        self._require_parent(target)
        old = self._storage.stat(target)
        # Milton's default is F, against RFC 4918.
        if old is not None and exchange.headers.get("Overwrite", "F").strip().upper() != "T":
            raise Refusal(412, "Precondition failed: the destination exists")
        self._require(login, Activity.MANAGE, source.path)
        self._require(login, Activity.MANAGE, target)
        if old is not None:
            self._require(login, Activity.DELETE, target)
            await asyncio.to_thread(self._storage.remove, target)
        self._storage.move(source.path, target)
        return _answer(201 if old is None else 204)

    async def _delete(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        entry = self._find(login, exchange.path)
        self._require(login, Activity.DELETE, entry.path)
        if entry.path == "/":
            raise Refusal(403, "Permission denied")
        if entry.is_dir:
            await asyncio.to_thread(self._storage.remove, entry.path)
        else:
            self._storage.remove(entry.path)
        return _answer(204)

    def _require_parent(self, path: str) -> None:
        parent = self._storage.stat(uri.split(path)[0])
        if parent is None or not parent.is_dir:
            raise Refusal(409, "Conflict: the parent is missing or not a collection")


def _answer(status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, headers={"Server": SERVER, **(headers or {})})


def _destination(exchange: Exchange) -> str:
    """Return the path in the Destination header, whose host is not looked at."""
    value = exchange.headers.get("Destination")
    if not value:
        raise Refusal(400, "Bad request: no Destination")
    try:
        path = unquote(urlsplit(value).path)
    except ValueError as error:
        raise Refusal(400, "Bad request: unusable Destination") from error
    segments = [segment for segment in path.split("/") if segment]
    if not segments or any(map(uri.segment_fault, segments)):
        raise Refusal(400, "Bad request: unusable Destination")
    return "/" + "/".join(segments)


async def _answer_listing(exchange: Exchange, texts: Iterator[str], *, slow: bool) -> web.StreamResponse:
    """Send a listing, a long one in batches; a slow one is made beside the event loop."""

    def take() -> list[str]:
        return list(itertools.islice(texts, _BATCH))

    headers = {"Server": SERVER, "Content-Type": "application/xml; charset=utf-8"}
    batch = await asyncio.to_thread(take) if slow else take()
    if len(batch) < _BATCH:
        return web.Response(status=207, headers=headers, body=_encoded(propfind.HEAD, *batch, propfind.TAIL))
    response = web.StreamResponse(status=207, headers=headers)
    exchange.log(207)
    await response.prepare(exchange.request)
    await response.write(_encoded(propfind.HEAD))
    while batch:
        await response.write(_encoded(*batch))
        await asyncio.sleep(0)
        batch = await asyncio.to_thread(take) if slow else take()
    await response.write(_encoded(propfind.TAIL))
    await response.write_eof()
    return response


def _encoded(*texts: str) -> bytes:
    return "".join(texts).encode()
