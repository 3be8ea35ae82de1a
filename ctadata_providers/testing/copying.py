"""What the door does for those who copy: third-party COPY, from and to another door.

The texts and keys are those of dCache's webdav module (RemoteTransferHandler), where its manual shows them; how a
failure is worded was not seen. Only doors on this machine are spoken to.
"""

import asyncio
import ipaddress
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import aiohttp
from aiohttp import web

from ctadata_providers import uri
from ctadata_providers.checksum import parse_digests
from ctadata_providers.errors import IntegrityError, NotFoundError, QuotaError
from ctadata_providers.testing.entries import Entry
from ctadata_providers.testing.exchange import ClientGoneError, Exchange, Refusal
from ctadata_providers.testing.faults import Fault
from ctadata_providers.testing.reading import find
from ctadata_providers.testing.storage import Storage
from ctadata_providers.testing.tokens import Activity, Login

_BLOCK = 1 << 18
_GLANCE = 0.02
_PREFIX = "transferheader"
_CREDENTIALS = ("none", "oidc", "gridsite")
_ASKED_TO_DELEGATE = "asked-to-delegate"
_CONTENT_TYPE = "text/perf-marker-stream"
_DIGEST = {"Want-Digest": "adler32"}


class _FailedError(Exception):
    """A transfer failed; the text is the reason in the last line."""


@dataclass(slots=True, kw_only=True)
class _Transfer:
    """A copy on its way.

    Attributes:
        url: The file on the other side.
        headers: Headers of the requests there.
        entry: The file here.
        verified: Whether a checksum must be compared.
        overwrite: Whether a file on the other side may be replaced.
        count: Bytes so far; None before the first.
    """

    url: str
    headers: dict[str, str] = field(repr=False)
    entry: Entry
    verified: bool
    overwrite: bool
    count: int | None = None


class Copying:
    """The copying part of a door.

    Args:
        storage: The namespace.
        server_header: What the door says that it is.
        trust: What the other side's certificate is checked against; None without TLS.
        seconds: How long it takes from one performance marker to the next.
        patience: Seconds for which an entry waits for its bytes.
        clock: Gives the time in seconds.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        server_header: str,
        trust: ssl.SSLContext | None,
        seconds: float,
        patience: float,
        clock: Callable[[], float],
    ) -> None:
        self._storage = storage
        self._server_header = server_header
        self._trust = trust
        self._seconds = seconds
        self._patience = patience
        self._clock = clock
        self.handlers = {"COPY": self._copy}

    async def _copy(self, exchange: Exchange, login: Login) -> web.StreamResponse:
        source, destination = exchange.headers.get("Source"), exchange.headers.get("Destination")
        if (source is None) == (destination is None):
            raise Refusal(400, "COPY needs either a Source or a Destination")
        if destination is not None and not urlsplit(destination).scheme:
            raise Refusal(501, "COPY inside dCache is not implemented")  # dCache issue 6950
        if login.subject is None:
            raise Refusal(401, "Permission denied")
        overwrite = _flag(exchange, "Overwrite", {"T": True, "F": False}, default="T")
        verified = _flag(exchange, "RequireChecksumVerification", {"TRUE": True, "FALSE": False}, default="true")
        self._require_credential(exchange)
        url = await _checked_url(source or destination or "")
        headers = {
            name[len(_PREFIX) :]: value
            for name, value in exchange.headers.items()
            if name.lower().startswith(_PREFIX) and len(name) > len(_PREFIX)
        }
        pulls = source is not None
        entry = self._new_entry(exchange, login, overwrite) if pulls else self._readable(exchange, login)
        fault = exchange.struck_by("failed-copy")
        transfer = _Transfer(url=url, headers=headers, entry=entry, verified=verified, overwrite=overwrite)
        task = asyncio.create_task(self._pulled(transfer, fault) if pulls else self._pushed(transfer, fault))
        sent = {"Content-Type": _CONTENT_TYPE, "Server": self._server_header}
        try:
            return await exchange.send(202, sent, self._told(exchange, transfer, task), length=None)
        finally:
            task.cancel()
            await asyncio.wait({task})
            if pulls and (task.cancelled() or task.exception()):
                self._storage.discard(entry)  # a task that never began has not done so

    def _require_credential(self, exchange: Exchange) -> None:
        """See that the other side's credential is given: this door has none of its own, and gets none delegated.

        Raises:
            Refusal: When it would be needed.
        """
        default = "none"
        if exchange.headers.get("Authorization", "").lower().startswith("bearer"):
            default = "oidc"
        elif (transport := exchange.request.transport) and transport.get_extra_info("peercert"):
            default = "gridsite"
        kind = exchange.headers.get("Credential", default).strip().lower()
        if kind not in _CREDENTIALS:
            raise Refusal(400, f"Unknown credential, use one of {', '.join(_CREDENTIALS)}")
        if kind == "gridsite" and exchange.query.get(_ASKED_TO_DELEGATE) != "true":
            location = f"{exchange.path}?{_ASKED_TO_DELEGATE}=true"
            raise Refusal(302, "Delegate a credential", {"Location": location, "X-Delegate-To": "/delegation"})
        if kind != "none":
            raise Refusal(401, "client failed to delegate a credential")

    def _new_entry(self, exchange: Exchange, login: Login, overwrite: bool) -> Entry:
        """Check a pull, remove the old file, and return the new, empty entry."""
        path = exchange.path
        old = self._storage.stat(path)
        if old is not None and old.is_dir:
            raise Refusal(400, "The target is a directory")
        if old is not None and not overwrite:
            raise Refusal(412, "Precondition failed: the target exists")
        parent = self._storage.stat(uri.split(path)[0])
        if parent is None or not parent.is_dir:
            raise Refusal(400, "The parent directory does not exist")
        if not login.may(Activity.UPLOAD, path) or (old is not None and not login.may(Activity.DELETE, path)):
            raise Refusal(401, "Permission denied")
        if self._storage.free() == 0:
            raise Refusal(507, "No space left for the upload")
        return self._storage.create(path, patience=self._patience)

    def _readable(self, exchange: Exchange, login: Login) -> Entry:
        """Check a push, and return the file."""
        if not login.may(Activity.DOWNLOAD, exchange.path):
            raise Refusal(401, "Permission denied")
        entry = find(self._storage, login, exchange.path)
        if entry.is_dir:
            raise Refusal(400, "The source is a directory")
        if entry.size is None:
            raise Refusal(409, "File upload in progress")
        return entry

    # What is told

    async def _told(self, exchange: Exchange, transfer: _Transfer, task: "asyncio.Task[None]") -> AsyncIterator[bytes]:
        """Yield a marker every few seconds, and the last line.

        Raises:
            ClientGoneError: When nobody listens any more.
        """
        started = time.time()
        while not task.done():
            end = self._clock() + self._seconds
            while not task.done() and self._clock() < end:
                await asyncio.wait({task}, timeout=min(_GLANCE, self._seconds))
                transport = exchange.request.transport
                if transport is None or transport.is_closing():
                    raise ClientGoneError
            if not task.done():
                yield _marker(started, transfer.count)
        error = task.exception()
        if error is None:
            yield b"success: Created\n"
        elif isinstance(error, _FailedError | OSError):
            yield f"failure: {error}\n".encode()
        else:
            raise error

    # Transfers

    def _session(self, headers: dict[str, str]) -> aiohttp.ClientSession:
        headers = {"User-Agent": self._server_header, **headers}
        return aiohttp.ClientSession(headers=headers, auto_decompress=False, skip_auto_headers=("Content-Type",))

    async def _pulled(self, transfer: _Transfer, fault: Fault | None) -> None:
        """Pull, and leave nothing behind when that fails or is cancelled, before anybody is told."""
        try:
            _strike(fault)
            await self._pull(transfer)
        except BaseException:
            self._storage.discard(transfer.entry)
            raise

    async def _pull(self, transfer: _Transfer) -> None:
        try:
            async with self._session(transfer.headers) as session:
                await self._fetch(session, transfer)
        except aiohttp.ClientConnectorError as error:
            raise _FailedError("Unable to connect to the remote server") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _FailedError(f"HTTP GET request failed: {type(error).__name__}") from error
        except (IntegrityError, QuotaError, NotFoundError) as error:
            raise _FailedError(error.message) from error

    async def _fetch(self, session: aiohttp.ClientSession, transfer: _Transfer) -> None:
        async with session.get(transfer.url, headers=_DIGEST, ssl=self._trust or True) as answer:
            if answer.status != 200:
                raise _FailedError(f"rejected GET: {answer.status} {answer.reason}")
            with self._storage.upload(transfer.entry) as upload:
                async for chunk in answer.content.iter_chunked(_BLOCK):
                    upload.write(chunk)
                    transfer.count = (transfer.count or 0) + len(chunk)
                told = parse_digests(answer.headers.getall("Digest", []))
                if "adler32" not in told:
                    told = parse_digests(await self._head(session, transfer.url))
                _compare(upload.checksums(), told, required=transfer.verified)
                upload.commit()

    async def _pushed(self, transfer: _Transfer, fault: Fault | None) -> None:
        _strike(fault)
        await self._push(transfer)

    async def _push(self, transfer: _Transfer) -> None:
        guard = {} if transfer.overwrite else {"If-None-Match": "*"}
        headers = {"Content-Length": str(transfer.entry.size), **guard}
        try:
            async with self._session(transfer.headers) as session:
                async with session.put(
                    transfer.url, headers=headers, data=self._blocks(transfer), ssl=self._trust or True
                ) as answer:
                    if not 200 <= answer.status < 300:
                        raise _FailedError(f"rejected PUT: {answer.status} {answer.reason}")
                told = parse_digests(await self._head(session, transfer.url))
                _compare(self._storage.checksums(transfer.entry), told, required=transfer.verified)
        except aiohttp.ClientConnectorError as error:
            raise _FailedError("Unable to connect to the remote server") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _FailedError(f"HTTP PUT request failed: {type(error).__name__}") from error
        except NotFoundError as error:
            raise _FailedError(error.message) from error

    async def _blocks(self, transfer: _Transfer) -> AsyncIterator[bytes]:
        with os.fdopen(self._storage.open(transfer.entry), "rb") as file:
            while block := file.read(_BLOCK):
                yield block
                transfer.count = (transfer.count or 0) + len(block)

    async def _head(self, session: aiohttp.ClientSession, url: str) -> list[str]:
        async with session.head(url, headers=_DIGEST, ssl=self._trust or True) as answer:
            return list(answer.headers.getall("Digest", []))


def _compare(ours: Mapping[str, str], told: Mapping[str, str], *, required: bool) -> None:
    """Compare checksums.

    Raises:
        _FailedError: When they differ, or none is told and one is required.
    """
    value = told.get("adler32")
    if value is None and required:
        raise _FailedError("no checksum from the remote server, which is required")
    if value is not None and value != ours["adler32"]:
        raise _FailedError(f"checksums differ: adler32 is {ours['adler32']}, the remote server says {value}")


def _strike(fault: Fault | None) -> None:
    if fault is not None:
        reason = f"rejected GET: {fault.options.status} Fault"
        raise _FailedError("Unable to connect to the remote server" if fault.options.refused else reason)


def _flag(exchange: Exchange, name: str, meanings: dict[str, bool], *, default: str) -> bool:
    value = exchange.headers.get(name, default).strip().upper()
    if value not in meanings:
        raise Refusal(400, f"Bad value of {name}")
    return meanings[value]


async def _checked_url(text: str) -> str:
    """Return the URL of the other side, which must be on this machine.

    Raises:
        Refusal: When it cannot be used.
    """
    try:
        parts: SplitResult = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise Refusal(400, "Bad URL of the other side") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refusal(400, "The URL of the other side has no supported scheme, or no host")
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Refusal(400, "Unknown host") from error
    if not all(ipaddress.ip_address(info[4][0]).is_loopback for info in found):
        raise Refusal(400, "Unknown host: this fake speaks to doors on its own machine only")
    return text


def _marker(started: float, count: int | None) -> bytes:
    """Return a performance marker as dCache writes it; before the transfer begins it tells of no bytes."""
    now = time.time()
    lines = [f"Timestamp: {now:.0f}"]
    if count is None:
        lines += ["State: 4", "State description: waiting for the mover", "Stripe Index: 0"]
    else:
        lines += ["State: 10", "State description: transferring", "Stripe Index: 0"]
        lines += [f"Stripe Start Time: {started:.0f}", f"Stripe Last Transferred: {now:.0f}"]
        lines += [f"Stripe Transfer Time: {now - started:.0f}", f"Stripe Bytes Transferred: {count}"]
        lines += ["Stripe Status: RUNNING"]
    inner = "".join(f"    {line}\n" for line in [*lines, "Total Stripe Count: 1"])
    return f"Perf Marker\n{inner}End\n".encode()
