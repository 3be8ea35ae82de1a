"""What the door does for those who write: PUT, MKCOL, MOVE, DELETE, PROPPATCH, LOCK."""

import asyncio
import re
import uuid
from collections.abc import Callable, Iterator

from aiohttp import web

from ctadata_providers import uri
from ctadata_providers.errors import NotADirError
from ctadata_providers.testing import propfind
from ctadata_providers.testing.digests import wanted_algorithms
from ctadata_providers.testing.entries import Entry
from ctadata_providers.testing.exchange import Exchange, Refusal, path_of_url
from ctadata_providers.testing.facts import Facts
from ctadata_providers.testing.pool import Pool
from ctadata_providers.testing.questions import BadQuestionError, Change, parse_proppatch
from ctadata_providers.testing.reading import find, require
from ctadata_providers.testing.storage import Storage
from ctadata_providers.testing.tokens import Activity, Login
from ctadata_providers.testing.upload import Wishes, receive

_XATTR_PARAMETER = "xattr."
_MIME_TYPE = "mime_type"
# Seconds since the epoch. 11 digits reach beyond the year 5000, and are a date in every format.
_TIME = re.compile(r"([0-9]{1,11})(\.[0-9]*)?")


class Writing:
    """The writing half of a door.

    Args:
        storage: The namespace.
        pools: The pools in turn.
        facts: Gives what a request is told.
        url: The door's URL.
        overwrite: Whether a PUT may replace a file.
        patience: Seconds for which an upload's entry waits for its bytes.
    """

    def __init__(
        self,
        storage: Storage,
        pools: Iterator[Pool],
        facts: Callable[[Exchange], Facts],
        *,
        url: str,
        overwrite: bool,
        patience: float,
    ) -> None:
        self._storage = storage
        self._pools = pools
        self._facts = facts
        self._url = url
        self._overwrite = overwrite
        self._patience = patience
        self.handlers = {
            "PUT": self._put,
            "DELETE": self._delete,
            "MKCOL": self._mkcol,
            "MOVE": self._move,
            "PROPPATCH": self._proppatch,
            "LOCK": self._lock,
            "UNLOCK": self._unlock,
        }

    # Uploads

    async def _put(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        wishes = _wishes(exchange)
        entry = self._prepare_put(exchange, login)
        headers = {} if wishes.mtime is None else {"X-OC-MTime": "accepted"}
        if exchange.expects_continue and not exchange.received:
            location = next(self._pools).open(entry, is_upload=True, door_url=self._url, wishes=wishes)
            return web.Response(status=307, headers={"Location": location, **headers})
        # Without Expect, or when the body is already on its way, the door relays it.
        try:
            stored = await receive(exchange, self._storage, entry, wishes, keep_corrupt=False)
        except BaseException:
            self._storage.discard(entry)
            raise
        return web.Response(
            status=201, headers={"ETag": stored.etag, **headers, **self._facts(exchange).digest(stored)}
        )

    def _prepare_put(self, exchange: Exchange, login: Login) -> Entry:
        """Check an upload, delete the old file, and return the new, empty entry."""
        path = exchange.path
        require(login, Activity.READ_METADATA, path)
        old = self._storage.stat(path)
        _check_tags(exchange, old)
        if old is not None and old.is_dir:
            raise Refusal(405, "Method not allowed on a collection")
        if old is not None and not self._overwrite:
            raise Refusal(409, "Conflict: the resource exists and may not be overwritten")
        try:
            parents = self._storage.missing_parents(path)
        except NotADirError as error:
            raise Refusal(409, "Conflict: a parent is not a collection") from error
        for parent in parents:
            require(login, Activity.MANAGE, parent)
        if old is not None:
            require(login, Activity.DELETE, path)
        require(login, Activity.UPLOAD, path)
        if old is not None:
            self._storage.remove(path)
        free = self._storage.free()
        if free is not None and (exchange.request.content_length or 0) > free:
            raise Refusal(507, "No space left for the upload")
        return self._storage.create(path, patience=self._patience)

    # The namespace

    async def _mkcol(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        path = exchange.path
        require(login, Activity.MANAGE, path)
        if self._storage.stat(path) is not None:
            raise Refusal(405, "Method not allowed: the resource exists")
        self._require_parent(path)
        self._storage.make_dir(path)
        return web.Response(status=201)

    async def _move(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        source = find(self._storage, login, exchange.path)
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
        require(login, Activity.MANAGE, source.path)
        require(login, Activity.MANAGE, target)
        if old is not None:
            require(login, Activity.DELETE, target)
            await asyncio.to_thread(self._storage.remove, target)
        self._storage.move(source.path, target)
        return web.Response(status=201 if old is None else 204)

    async def _delete(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        entry = find(self._storage, login, exchange.path)
        require(login, Activity.DELETE, entry.path)
        if entry.path == "/":
            raise Refusal(403, "Permission denied")
        try:
            if entry.is_dir:
                await asyncio.to_thread(self._storage.remove, entry.path)
            else:
                self._storage.remove(entry.path)
        except FileNotFoundError as error:
            # Another request removed it meanwhile.
            raise Refusal(404, f"The requested resource does not exist: {entry.path}") from error
        return web.Response(status=204)

    def _require_parent(self, path: str) -> None:
        parent = self._storage.stat(uri.split(path)[0])
        if parent is None or not parent.is_dir:
            raise Refusal(409, "Conflict: the parent is missing or not a collection")

    # Properties and locks

    async def _proppatch(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        """Set and remove extended attributes; other properties cannot be changed."""
        try:
            changes = parse_proppatch(await exchange.body())
        except BadQuestionError as error:
            raise Refusal(400, f"Bad PROPPATCH: {error}") from error
        entry = find(self._storage, login, exchange.path)
        require(login, Activity.UPDATE_METADATA, entry.path)
        statuses = [(change.name, self._change(entry, change)) for change in changes]
        text = propfind.changed(entry, statuses)
        return web.Response(status=207, text=text, content_type="application/xml")

    def _change(self, entry: Entry, change: Change) -> str:
        space, local = change.name
        if space != propfind.XATTR:
            return "403 Forbidden"
        xattrs = self._storage.notes_to_change(entry).xattrs
        if change.value is None:
            xattrs.pop(local, None)
        else:
            xattrs[local] = change.value
        return "200 OK"

    async def _lock(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        """Give a lock that ends at once and locks nothing, so that macOS agrees to write (createNullLock)."""
        require(login, Activity.READ_METADATA, exchange.path)
        exists = self._storage.stat(exchange.path) is not None
        if not exists:
            self._require_parent(exchange.path)
        token = f"opaquelocktoken:{uuid.uuid4()}"
        return web.Response(
            status=200 if exists else 201,
            headers={"Lock-Token": f"<{token}>"},
            text=propfind.lock_answer(token),
            content_type="application/xml",
        )

    async def _unlock(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        find(self._storage, login, exchange.path)
        return web.Response(status=204)


def _wishes(exchange: Exchange) -> Wishes:
    """Return what a PUT wants beside its bytes."""
    wanted = exchange.headers.get("Want-Digest")
    time = _TIME.fullmatch(exchange.headers.get("X-OC-Mtime", ""))
    xattrs = {
        name.removeprefix(_XATTR_PARAMETER): value
        for name, value in exchange.query.items()
        if name.startswith(_XATTR_PARAMETER)
    }
    if kind := exchange.headers.get("Content-Type"):
        xattrs.setdefault(_MIME_TYPE, kind)
    return Wishes(
        algorithms=frozenset(wanted_algorithms(wanted)),
        mtime=int(time[1]) if time else None,
        xattrs=xattrs,
    )


def _check_tags(exchange: Exchange, old: Entry | None) -> None:
    """Compare the entity tags that a PUT names (Milton: MatchHelper)."""
    wanted, unwanted = (
        [tag.strip() for tag in exchange.headers.get(name, "").split(",") if tag.strip()]
        for name in ("If-Match", "If-None-Match")
    )
    tags = {"*", old.etag} if old is not None else set()
    if wanted and not tags & set(wanted):
        raise Refusal(412, "Precondition failed: the resource is another one, or none")
    if tags & set(unwanted):
        raise Refusal(412, "Precondition failed: the resource exists")


def _destination(exchange: Exchange) -> str:
    """Return the path in the Destination header, whose host is not looked at."""
    value = exchange.headers.get("Destination")
    if not value:
        raise Refusal(400, "Bad request: no Destination")
    try:
        return path_of_url(value)
    except ValueError as error:
        raise Refusal(400, "Bad request: unusable Destination") from error
