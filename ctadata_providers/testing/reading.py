"""What the door does for those who read: GET, HEAD, PROPFIND."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

from aiohttp import web

from ctadata_providers.testing import pages, propfind
from ctadata_providers.testing.entries import Entry
from ctadata_providers.testing.exchange import Exchange, Refusal, quote_path
from ctadata_providers.testing.facts import Facts
from ctadata_providers.testing.faults import Faults
from ctadata_providers.testing.pool import Pool
from ctadata_providers.testing.questions import BadQuestionError, parse_propfind
from ctadata_providers.testing.storage import Storage
from ctadata_providers.testing.tokens import Activity, Login

# Depth "infinity" goes this far, without a word (dCache issue 7850).
_INFINITY = 3
_BATCH = 500
# aiohttp sets this one if there is none, and dCache has none for a file without a known type.
_UNKNOWN_TYPE = "application/octet-stream"


class Reading:
    """The reading half of a door.

    Args:
        storage: The namespace.
        pools: The pools in turn.
        faults: What is switched on.
        url: The door's URL.
        version: The major version of dCache.
        patience: Seconds for which a GET waits for a file on tape.
    """

    def __init__(
        self, storage: Storage, pools: Iterator[Pool], faults: Faults, *, url: str, version: int, patience: float
    ) -> None:
        self._storage = storage
        self._pools = pools
        self._faults = faults
        self._url = url
        self._version = version
        self._patience = patience
        self.handlers = {"GET": self._get, "HEAD": self._head, "PROPFIND": self._propfind}

    def facts(self, exchange: Exchange) -> Facts:
        """Return what a request is told."""
        return Facts(exchange, self._storage, self._faults, self._version)

    async def _get(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        if exchange.path == "/" and login.subject is not None and not login.may(Activity.LIST, "/"):
            return web.Response(status=302, headers={"Location": f"{self._url}{quote_path(login.home)}/"})
        entry = find(self._storage, login, exchange.path)
        if entry.is_dir:
            return self._show_folder(exchange, login, entry)
        require(login, Activity.DOWNLOAD, entry.path)
        if entry.size is None:
            raise Refusal(500, "File upload not yet completed")
        await self.facts(exchange).bring_online(entry, login, self._patience)
        location = next(self._pools).open(entry, is_upload=False, door_url=self._url)
        return web.Response(status=302, headers={"Location": location})

    def _show_folder(self, exchange: Exchange, login: Login, entry: Entry) -> web.Response:
        if not exchange.ends_in_slash:
            return web.Response(status=302, headers={"Location": f"{self._url}{quote_path(entry.path)}/"})
        require(login, Activity.LIST, entry.path)
        children = self._storage.children(entry.path)
        if pages.wants_metalink(exchange.query, exchange.headers.get("Accept", "")):
            return web.Response(text=pages.metalink(self._url, children), content_type=pages.METALINK)
        return web.Response(text=pages.folder_page(entry, children), content_type="text/html")

    async def _head(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        facts = self.facts(exchange)
        entry = facts.entry(find(self._storage, login, exchange.path))
        if entry.is_dir:
            link = f"<{self._url}{quote_path(entry.path.rstrip('/'))}/?type=metalink>; rel=describedby; "
            return web.Response(headers={"Content-Type": "text/html", "Link": f'{link}type="{pages.METALINK}"'})
        headers = {
            "Accept-Ranges": "bytes",
            "ETag": entry.etag,
            "Last-Modified": propfind.http_date(entry.mtime_ns),
            "Content-Type": facts.xattrs(entry).get("mime_type", _UNKNOWN_TYPE),
        }
        if entry.size is not None:
            headers["Content-Length"] = str(entry.size)
        if facts.wants_digest:
            if not self._storage.has_checksums(entry):
                await asyncio.to_thread(self._storage.checksums, entry)
            headers |= facts.digest(entry)
        return web.Response(headers=headers)

    async def _propfind(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        try:
            question = parse_propfind(await exchange.body())
        except BadQuestionError as error:
            raise Refusal(400, f"Bad PROPFIND: {error}") from error
        entry = find(self._storage, login, exchange.path)
        depth = {"0": 0, "1": 1}.get(exchange.headers.get("Depth", ""), _INFINITY)
        texts = propfind.responses(question, self._tree(entry, depth, login), self.facts(exchange))
        return await _answer_listing(exchange, texts, beside=depth > 0 and entry.is_dir)

    def _tree(self, entry: Entry, depth: int, login: Login) -> Iterator[Entry]:
        """Yield an entry and what is below it; folders that may not be listed seem empty."""
        yield entry
        if depth and entry.is_dir and login.may(Activity.LIST, entry.path):
            for child in self._storage.children(entry.path):
                yield from self._tree(child, depth - 1, login)


def require(login: Login, activity: Activity, path: str) -> None:
    """See that something is permitted.

    Raises:
        Refusal: 403, or 401 for an anonymous client.
    """
    if not login.may(activity, path):
        raise Refusal(401 if login.subject is None else 403, "Permission denied")


def find(storage: Storage, login: Login, path: str) -> Entry:
    """Return what stands at a path.

    Raises:
        Refusal: 404 when there is nothing, 401 or 403 when that may not be seen.
    """
    require(login, Activity.READ_METADATA, path)
    entry = storage.stat(path)
    if entry is None:
        raise Refusal(404, f"The requested resource does not exist: {path}")
    return entry


async def _answer_listing(exchange: Exchange, texts: Iterator[str], *, beside: bool) -> web.StreamResponse:
    """Send a listing, a long one in batches, which are made beside the event loop: other clients are not held up."""

    def take() -> list[str]:
        return list(itertools.islice(texts, _BATCH))

    async def batches() -> AsyncIterator[bytes]:
        yield _encoded(propfind.HEAD, *first)
        while batch := await asyncio.to_thread(take):
            yield _encoded(*batch)
        yield _encoded(propfind.TAIL)

    headers = {"Content-Type": "application/xml; charset=utf-8"}
    first = await asyncio.to_thread(take) if beside else take()
    if len(first) < _BATCH:
        return web.Response(status=207, headers=headers, body=_encoded(propfind.HEAD, *first, propfind.TAIL))
    return await exchange.send(207, headers, batches(), length=None)


def _encoded(*texts: str) -> bytes:
    return "".join(texts).encode()
