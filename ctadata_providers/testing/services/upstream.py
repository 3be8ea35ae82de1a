"""The storage as the downloadservice sees it: a WebDAV server, which it asks with a user's certificate."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

from ctadata_providers.errors import NotADirError, NotFoundError, QuotaError
from ctadata_providers.testing import pages, propfind
from ctadata_providers.testing.door import Manners
from ctadata_providers.testing.entries import Entry
from ctadata_providers.testing.exchange import ClientGoneError, Exchange, Refusal
from ctadata_providers.testing.facts import Facts
from ctadata_providers.testing.fault_bends import bend, struck
from ctadata_providers.testing.faults import Fault
from ctadata_providers.testing.pool import Pool
from ctadata_providers.testing.questions import BadQuestionError, parse_propfind, parse_proppatch
from ctadata_providers.testing.ranges import parse_ranges
from ctadata_providers.testing.server import Site
from ctadata_providers.testing.services.peers import BrokenError, Peer
from ctadata_providers.testing.services.replies import Reply, error_reply, pausing
from ctadata_providers.testing.services.rewriting import Span
from ctadata_providers.testing.services.users import stored_path
from ctadata_providers.testing.services.xrootd import NO_UPLOAD, SERVER, xrootd_listing
from ctadata_providers.testing.storage import Storage

BASE = "/pnfs/cta.cscs.ch/"
"""Where the storage has what the services serve."""

StorageKind = Literal["webdav", "dcache", "xrootd"]
"""What is behind the services: one that answers itself, one that sends readers to pools, or XRootD."""

_METHODS = "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, MOVE, COPY, PROPFIND, PROPPATCH, LOCK, UNLOCK"
_INFINITY = 3
_XML = "application/xml; charset=utf-8"
_ON_DISK = ("ONLINE", "ONLINE_AND_NEARLINE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the storage is asked.

    Attributes:
        exchange: The request because of which it is asked.
        method: The HTTP method.
        path: The path, below the base, as it stands in the URL: still to be decoded.
        headers: The headers that are passed on.
        body: The body of a question or a change.
        chunks: The body of an upload.
        follows: Whether redirects are followed.
        patience: Seconds for which an answer is waited for.
    """

    exchange: Exchange
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    follows: bool = False
    patience: float = math.inf


class Upstream:
    """The storage.

    Args:
        site: Where it stands.
        pools: Where it sends clients, when it does.
        door_url: What pools take for the door.
        manners: How dCache behaves.
        kind: What else it may be.
    """

    def __init__(
        self, site: Site, pools: Sequence[Pool], *, door_url: str, manners: Manners, kind: StorageKind
    ) -> None:
        self._storage: Storage = site.storage
        self._faults = site.faults
        self._clock = site.clock
        self._peer = Peer("storage", site.faults, site.clock)
        self._pools = cycle(pools)
        self._door_url = door_url
        self._version = manners.major
        self._kind = kind
        self._patience = manners.patience
        self._server = SERVER if kind == "xrootd" else f"dCache/{manners.version} (fake)"
        self._handlers: dict[str, Callable[[Asked, str, list[Fault]], Awaitable[Reply]]] = {
            "GET": self._get,
            "HEAD": self._head,
            "PUT": self._put,
            "MKCOL": self._mkcol,
            "OPTIONS": self._options,
            "PROPFIND": self._propfind,
            "PROPPATCH": self._proppatch,
        }

    async def ask(self, asked: Asked) -> Reply:
        """Return what the storage answers.

        Raises:
            BrokenError: When it does not.
            ClientGoneError: When the body of an upload does not come to its end.
        """
        path, fault = stored_path(asked.path)
        if self._kind == "xrootd":
            path = path.partition("?")[0] or "/"
        try:
            if fault:
                raise Refusal(400, fault)
            found = await self._peer.meet(asked.exchange, asked.method, path, patience=asked.patience)
            self._hide(found, path)
            if asked.method not in self._handlers:
                raise Refusal(405, "Method not allowed", {"Allow": _METHODS})
            reply = await self._handlers[asked.method](asked, path, found)
        except Refusal as refusal:
            reply = error_reply(refusal.status, refusal.text, refusal.headers)
        reply.headers.setdefault("Server", self._server)
        return reply

    def _hide(self, found: list[Fault], path: str) -> None:
        for fault in found:
            entry = self._storage.stat(path) if fault.name == "late-visibility" else None
            if entry and self._storage.notes(entry).uploaded > fault.since and fault.strike():
                raise Refusal(fault.options.status, "No such file or directory")

    def _find(self, path: str) -> Entry:
        entry = self._storage.stat(path)
        if entry is None:
            raise Refusal(404, f"The requested resource does not exist: {path}")
        return entry

    def _facts(self, asked: Asked) -> Facts:
        return Facts(asked.exchange, self._storage, self._faults, self._version, ("storage", asked.method))

    def _reply(self, status: int, headers: Mapping[str, str], body: bytes | Span, found: list[Fault]) -> Reply:
        striking = struck(found, len(body))
        pause = pausing(self._faults, self._clock, striking)
        return Reply(status, headers, body, faults=striking, pause=pause)

    # What is read

    async def _get(self, asked: Asked, path: str, found: list[Fault]) -> Reply:
        entry = self._find(path)
        if entry.is_dir:
            text = pages.folder_page(entry, self._storage.children(path))
            return self._reply(200, {"Content-Type": "text/html"}, text.encode(), found)
        if entry.size is None:
            raise Refusal(500, "File upload not yet completed")
        await self._bring_online(asked, entry)
        if (self._kind == "dcache" or _redirects(found)) and not asked.follows:
            location = next(self._pools).open(entry, is_upload=False, door_url=self._door_url)
            return Reply(302, {"Location": location})
        _require_tags(asked.headers, entry)
        unwanted = asked.headers.get("If-None-Match")
        headers = await self._file_headers(asked, entry)
        if unwanted and entry.etag in map(str.strip, unwanted.split(",")):
            return Reply(304, headers)
        size = entry.size
        ranges = parse_ranges(asked.headers.get("Range"), size)
        if asked.headers.get("If-Range", entry.etag) != entry.etag:
            ranges = None
        if ranges == []:
            raise Refusal(416, "Requested range is not satisfiable", {"Content-Range": f"bytes */{size}"})
        try:
            descriptor = self._storage.open(entry)
        except NotFoundError as error:
            raise Refusal(404, f"The requested resource does not exist: {path}") from error
        # Several ranges may be answered with the whole file (RFC 9110, 14.2).
        if ranges is None or len(ranges) > 1:
            return self._reply(200, headers, Span(descriptor, 0, size), found)
        start, end = ranges[0]
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        return self._reply(206, headers, Span(descriptor, start, end), found)

    async def _head(self, asked: Asked, path: str, found: list[Fault]) -> Reply:
        entry = self._find(path)
        if entry.is_dir:
            return Reply(200, {"Content-Type": "text/html"})
        return Reply(200, await self._file_headers(asked, entry))

    async def _file_headers(self, asked: Asked, entry: Entry) -> dict[str, str]:
        facts = self._facts(asked)
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Type": facts.xattrs(entry).get("mime_type", "application/octet-stream"),
            "ETag": entry.etag,
            "Last-Modified": propfind.http_date(entry.mtime_ns),
        }
        if facts.wants_digest and "Want-Digest" in asked.headers:
            if not self._storage.has_checksums(entry):
                await asyncio.to_thread(self._storage.checksums, entry)
            headers |= facts.digest(entry)
        return headers

    async def _bring_online(self, asked: Asked, entry: Entry) -> None:
        """Wait for a file that is on tape, as long as the storage does."""
        if (locality := self._facts(asked).locality(entry)) in _ON_DISK:
            return
        recall = self._storage.notes(entry).recall if locality == "NEARLINE" else None
        seconds = 0.0 if locality in ("LOST", "NONE") else min(self._patience, recall or self._patience)
        await asked.exchange.pause(seconds)
        if recall is None or recall > self._patience:
            raise Refusal(500, "Request to [>PoolManager] timed out")
        self._storage.notes_to_change(entry).locality = "ONLINE_AND_NEARLINE"

    async def _options(self, asked: Asked, path: str, found: list[Fault]) -> Reply:
        return Reply(200, {"DAV": "1, 2", "MS-Author-Via": "DAV", "Allow": _METHODS})

    async def _propfind(self, asked: Asked, path: str, found: list[Fault]) -> Reply:
        try:
            question = parse_propfind(asked.body)
        except BadQuestionError as error:
            raise Refusal(400, f"Bad PROPFIND: {error}") from error
        entry = self._find(path)
        depth = {"0": 0, "1": 1}.get(asked.headers.get("Depth", ""), _INFINITY)
        facts = self._facts(asked)

        def text() -> str:
            entries = self._tree(entry, depth)
            if self._kind == "xrootd":
                return xrootd_listing(map(facts.entry, entries), BASE)
            listed = "".join(propfind.responses(question, entries, facts))
            return propfind.HEAD + _based(listed) + propfind.TAIL

        listed = await asyncio.to_thread(text) if depth and entry.is_dir else text()
        return self._reply(207, {"Content-Type": _XML}, listed.encode(), found)

    def _tree(self, entry: Entry, depth: int) -> Iterator[Entry]:
        yield entry
        if depth and entry.is_dir:
            for child in self._storage.children(entry.path):
                yield from self._tree(child, depth - 1)

    # What is changed

    async def _mkcol(self, asked: Asked, path: str, found: list[Fault]) -> Reply:
        if self._storage.stat(path) is not None:
            raise Refusal(405, "Method not allowed: the resource exists")
        self._require_parent(path)
        self._storage.make_dir(path)
        return Reply(201)

    async def _proppatch(self, asked: Asked, path: str, found: list[Fault]) -> Reply:
        try:
            changes = parse_proppatch(asked.body)
        except BadQuestionError as error:
            raise Refusal(400, f"Bad PROPPATCH: {error}") from error
        entry = self._find(path)
        xattrs = self._storage.notes_to_change(entry).xattrs
        statuses = []
        for change in changes:
            space, local = change.name
            if space == propfind.XATTR and change.value is not None:
                xattrs[local] = change.value
            elif space == propfind.XATTR:
                xattrs.pop(local, None)
            statuses.append((change.name, "200 OK" if space == propfind.XATTR else "403 Forbidden"))
        return Reply(207, {"Content-Type": _XML}, _based(propfind.changed(entry, statuses)).encode())

    async def _put(self, asked: Asked, path: str, found: list[Fault]) -> Reply:
        old = self._storage.stat(path)
        if self._kind == "xrootd":
            raise Refusal(400, NO_UPLOAD)
        if old is not None and old.is_dir:
            raise Refusal(405, "Method not allowed on a collection")
        _require_tags(asked.headers, old)
        if old is not None and asked.headers.get("If-None-Match", "").strip() in ("*", old.etag):
            raise Refusal(412, "Precondition failed: the resource exists")
        self._require_parent(path)
        # dCache sends whoever says Expect to a pool, and nobody else.
        if asked.headers.get("Expect", "").lower() == "100-continue" or _redirects(found):
            return await self._send_away(asked, path, created=old is None)
        stored = await self._receive(asked, path, found)
        return Reply(201 if old is None else 204, {"ETag": stored.etag})

    async def _send_away(self, asked: Asked, path: str, *, created: bool) -> Reply:
        """Redirect an upload. Who follows has sent all that there is already: an empty file stays."""
        entry = self._storage.create(path, patience=0.0)
        if not asked.follows:
            location = next(self._pools).open(entry, is_upload=True, door_url=self._door_url)
            return Reply(307, {"Location": location})
        async for _ in asked.chunks or _nothing():
            pass
        self._storage.put(path, b"")
        return Reply(201 if created else 204)

    async def _receive(self, asked: Asked, path: str, found: list[Fault]) -> Entry:
        """Store an upload. The end of a client is taken for the end of its file where a length was announced."""
        announced = asked.exchange.request.content_length
        striking = struck(found, announced)
        chunks = asked.chunks or _nothing()
        entry = self._storage.create(path, patience=self._patience)
        stored: Entry | None = None
        lost: ClientGoneError | None = None
        try:
            with self._storage.upload(entry) as upload:
                try:
                    async for chunk in bend(chunks, striking, pausing(self._faults, self._clock, striking)):
                        upload.write(chunk)
                except ClientGoneError as error:
                    if announced is None:
                        raise
                    lost = error
                stored = upload.commit()
        except ConnectionResetError as error:
            raise BrokenError("connection reset") from error
        except QuotaError as error:
            raise Refusal(507, "No space left for the upload") from error
        except NotFoundError as error:
            raise Refusal(500, error.message) from error
        finally:
            if stored is None:
                self._storage.discard(entry)
        if lost:
            raise lost
        return stored

    def _require_parent(self, path: str) -> None:
        try:
            missing = self._storage.missing_parents(path)
        except NotADirError as error:
            raise Refusal(409, "Conflict: the parent is not a collection") from error
        if missing:
            raise Refusal(409, "Conflict: the parent does not exist")


def _redirects(found: list[Fault]) -> bool:
    return any(fault.name == "redirect" and fault.strike() for fault in found)


def _require_tags(headers: Mapping[str, str], entry: Entry | None) -> None:
    """Compare the entity tags of If-Match."""
    wanted = [tag.strip() for tag in headers.get("If-Match", "").split(",") if tag.strip()]
    if wanted and (entry is None or not {"*", entry.etag} & set(wanted)):
        raise Refusal(412, "Precondition failed: the resource is another one, or none")


def _based(text: str) -> str:
    """Return a listing with the addresses that the storage has."""
    return text.replace("<D:href>/", f"<D:href>{BASE}")


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""  # what makes it a generator
