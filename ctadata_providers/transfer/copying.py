"""The life of a copy from one remote place to another.

The servers do it themselves where they can: one of them inside, or two of them by a third-party copy (pull before
push). Else the bytes pass through this machine, spooled to disk. A way that the servers refuse is followed by the next
one; a missing right is an error, for it would be missing on each of them.
"""

import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ctadata_providers.backends import (
    ChecksumBackend,
    CopyBackend,
    FileInfo,
    OtherSide,
    RenameBackend,
    ThirdPartyBackend,
    WriteResult,
)
from ctadata_providers.credentials.resolve import origin
from ctadata_providers.errors import AlreadyExistsError, IsADirError, StorageError, TransientError, UnsupportedError
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import spawn, wait
from ctadata_providers.transfer import verify
from ctadata_providers.transfer.asking import asked
from ctadata_providers.transfer.context import Context, CopyResult, Progress, TransferResult, Way
from ctadata_providers.transfer.download import fetch, refuse_unreadable
from ctadata_providers.transfer.events import TransferEvent, watched
from ctadata_providers.transfer.folders import make_dirs, stat_or_none
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.names import is_part
from ctadata_providers.transfer.spools import spool_folder
from ctadata_providers.transfer.upload import Sending, send, store
from ctadata_providers.uri import split

logger = logging.getLogger(__name__)

RETRIES = 2
"""Retries at most on a way of the servers: there is another one."""
STRIKES = 3
"""Files for which a way was refused in a row, after which the others of a tree are not tried on it."""


@dataclass(frozen=True)
class Route:
    """From one storage to another, or to itself; remembers which ways were refused.

    Attributes:
        source: What transfers from there share.
        target: What transfers to there share.
    """

    source: Context
    target: Context
    _refused: "Counter[Way]" = field(default_factory=Counter, repr=False, compare=False)

    @property
    def is_inside(self) -> bool:
        """Whether both are one storage."""
        return self.source.backend is self.target.backend

    def places(self, source: str, target: str) -> tuple[str, str] | None:
        """Return where two paths lead to, None when the storages are not known to be one; they may have two names."""
        if self.is_inside:
            return source, target
        (here, from_), (there, into) = _place(self.source, source), _place(self.target, target)
        return (from_, into) if here is not None and here == there else None

    def ways(self) -> Iterator[Way]:
        """Give the ways that the servers may take, the best first."""
        source, target = self.source.backend, self.target.backend
        if self.is_inside and isinstance(source, CopyBackend):
            yield "server"
        if isinstance(source, ThirdPartyBackend) and isinstance(target, ThirdPartyBackend):
            yield from ("pull", "push")

    def may_try(self, way: Way) -> bool:
        """Tell whether a way was not refused too often."""
        return self._refused[way] < STRIKES

    def note(self, way: Way, *, refused: bool) -> None:
        """Remember whether a way was refused."""
        self._refused[way] = self._refused[way] + 1 if refused else 0


async def copy(
    route: Route,
    info: FileInfo,
    path: str,
    *,
    overwrite: bool = True,
    progress: Progress | None = None,
    through_here: bool = True,
) -> CopyResult:
    """Copy one file; the target is whole or as it was before, where its server can rename. Missing parents are made.

    Args:
        route: From where to where.
        info: The file, as a listing or stat told of it.
        path: The target.
        overwrite: Whether a file there may be replaced.
        progress: Told of the bytes that have been transferred.
        through_here: Whether the bytes may pass through this machine where the servers do not copy by themselves.

    Raises:
        IsADirError: When source or target is a folder.
        AlreadyExistsError: When the target exists and may not be overwritten.
        PermissionDeniedError: When a credential does not allow it, there or here.
        IntegrityError: When what is stored is not what was copied; says so if a partial file may remain.
        QuotaError: When the storage, or the disk for what passes through here, is full.
        TransientError: When the retries are used up.
        UnsupportedError: When the servers do not copy it, and it may not pass through here.
    """
    first = TransferEvent("start", "copy", path, size=info.size)
    context = replace(route.target, on_event=route.source.on_event or route.target.on_event)

    async def copied(told: Context, progress: Progress | None) -> CopyResult:
        source = replace(route.source, on_retry=told.on_retry)
        own = replace(route, source=source, target=told)
        return await _copied(own, info, path, overwrite, progress, through_here=through_here)

    return await watched(context, first, progress, copied)


async def _copied(
    route: Route, info: FileInfo, path: str, overwrite: bool, progress: Progress | None, *, through_here: bool
) -> CopyResult:
    refuse_unreadable(info, act="copy")
    places = route.places(info.path, path)
    if places is not None and places[0] == places[1]:
        raise StorageError(f"cannot copy {path} to itself", path=path, remedy="name another target")
    started = time.monotonic()
    await wait(asked(partial(_prepare, route.target, path, overwrite=overwrite, info=info)))
    tried = await _by_servers(route, info, path, overwrite, progress)
    way, result = tried.way, tried.result
    if result is None:
        if not through_here:
            raise tried.error or UnsupportedError(
                f"the servers do not copy {info.path} by themselves", path=info.path, remedy="let it pass through here"
            )
        if tried.is_fault:  # else a large file might be fetched for a target that is away
            await wait(asked(partial(stat_or_none, route.target.backend, path)))
        way, result = "client", await _through_here(route, info, path, overwrite, progress)
    return CopyResult(
        path=result.path,
        source=info.path,
        size=result.size,
        way=way,
        checksums=result.checksums,
        seconds=time.monotonic() - started,
        retries=result.retries + tried.retries,
        resumed=result.resumed,
    )


@dataclass(slots=True)
class _Tried:
    """What the servers have done of a copy.

    Attributes:
        way: The last way that was tried.
        result: How it ended, None when none of the ways was taken.
        retries: Attempts after the first, on ways that were given up.
        error: Why the last of them was given up; a fault that may pass rather than a refusal.
    """

    way: Way = "client"
    result: TransferResult | None = None
    retries: int = 0
    error: UnsupportedError | TransientError | None = None

    @property
    def is_fault(self) -> bool:
        """Whether a way was given up for a fault that may pass."""
        return isinstance(self.error, TransientError)


async def _by_servers(route: Route, info: FileInfo, path: str, overwrite: bool, progress: Progress | None) -> _Tried:
    """Have the servers copy a file, on the first way that they take."""
    policy = replace(route.target.policy, retries=min(route.target.policy.retries, RETRIES))
    target, tried = replace(route.target, policy=policy), _Tried()
    for way in route.ways() if info.size is not None else ():
        if not route.may_try(way):
            continue
        tried.way, moving = way, _Remote(route, info, way, progress)
        try:
            tried.result = await store(target, moving, path, overwrite=overwrite, write=moving.write)
        except (UnsupportedError, TransientError) as error:
            moving.forget()
            tried.retries += max(0, moving.attempts - 1)
            tried.error = tried.error if tried.is_fault else error
            route.note(way, refused=True)
            level = logging.DEBUG if way == "server" else logging.INFO  # what a kind of server never does is no news
            logger.log(level, "%s; the copy of %s goes another way than %s", error.message, info.path, way)
        else:
            route.note(way, refused=False)
            break
    return tried


def _place(context: Context, path: str) -> tuple[tuple[str, str, int] | None, str]:
    """Return the origin of a storage, None where it has none, and the whole path there."""
    scheme, separator, rest = context.door.partition("://")
    host, _, base = rest.partition("/")
    return origin(f"{scheme}://{host}") if separator else None, f"/{base}".rstrip("/") + path


def _refuse_itself(info: FileInfo, existing: FileInfo) -> None:
    """Refuse to write over what may be the source under another name: its bytes would be lost before they are read.

    Raises:
        StorageError: When nothing tells the two apart.
    """
    tags = {info.etag, existing.etag}
    if (info.size, info.modified) == (existing.size, existing.modified) and (None in tags or len(tags) == 1):
        raise StorageError(
            f"cannot copy {info.path} to {existing.path}: that may be the same file under another name, and would be"
            " written over while it is read",
            path=existing.path,
            remedy="name another target, or remove that one if it is another file",
        )


def _prepare(context: Context, path: str, *, overwrite: bool, info: FileInfo) -> None:
    """Look at the target, and make the folders above it: servers answer with anything where one is missing."""
    existing = stat_or_none(context.backend, path)
    if existing is None:
        make_dirs(context.backend, split(path)[0])
    elif existing.is_dir:
        raise IsADirError(f"cannot copy to {path}: it is a folder", path=path, remedy="give the name of a file in it")
    elif not overwrite:
        raise AlreadyExistsError(
            f"cannot copy to {path}: it exists", path=path, remedy="remove it first, or allow overwriting"
        )
    elif not (isinstance(context.backend, RenameBackend) and context.backend.can_rename(path)):
        _refuse_itself(info, existing)


class _Remote:
    """A file on another server, to be stored without passing here: `upload.Sending` and its `Write`.

    Attributes:
        size: Bytes.
        checksums: What its server tells, looked up when it has been copied.
        attempts: How often it was tried.
        rewinds: As those of `upload.Sending`.
    """

    def __init__(self, route: Route, info: FileInfo, way: Way, progress: Progress | None) -> None:
        assert info.size is not None  # noqa: S101 (the caller has looked)
        self.local = Path(info.path)
        self.size = info.size
        self.checksums: Mapping[str, str] = {}
        self.attempts = 0
        self.rewinds = 0
        self._route = route
        self._info = info
        self._way = way
        self._progress = progress
        self._seen = 0
        self._path = ""

    def read(self, size: int, /) -> bytes:
        """Give nothing: the bytes do not pass here."""
        return b""

    def rewind(self) -> None:
        """Begin again."""
        self.rewinds += 1
        self.forget()

    def forget(self) -> None:
        """Take back what was told of the progress."""
        self._mark(0)

    async def reread(self, algorithm: str, /) -> str | None:
        """Ask the source's server, which reads it for that."""
        backend = self._route.source.backend
        if not isinstance(backend, ChecksumBackend):
            return None
        told = await wait(asked(partial(backend.checksum, self._info.path, algorithm)))
        return told.get(algorithm)

    def check_unchanged(self) -> None:
        """Do nothing: what was copied is compared with what is known of the source."""

    def write(self, path: str, source: Sending, /, *, size: int, overwrite: bool) -> Future[WriteResult]:
        """Have the servers copy it to a path."""
        self.attempts += 1
        begins = path != self._path
        self._path = path
        # A second attempt may meet what the first has left.
        return spawn(self._copied(path, overwrite=overwrite or self.attempts > 1, begins=begins))

    async def _copied(self, path: str, *, overwrite: bool, begins: bool) -> WriteResult:
        route, info = self._route, self._info
        if begins and not is_part(split(path)[1]):  # the server has turned out not to rename
            existing = await wait(asked(partial(stat_or_none, route.target.backend, path)))
            if existing is not None:
                _refuse_itself(info, existing)
        if self._way == "server":
            assert isinstance(route.source.backend, CopyBackend)  # noqa: S101 (`Route.ways`)
            await wait(route.source.backend.copy(info.path, path, overwrite=overwrite))
        else:
            await self._third_party(path, overwrite=overwrite)
        self._mark(self.size)
        self.checksums = await verify.server_checksums(route.source, info.path, self.size, known=info.checksums)
        return WriteResult()

    async def _third_party(self, path: str, *, overwrite: bool) -> None:
        source, target = self._route.source.backend, self._route.target.backend
        assert isinstance(source, ThirdPartyBackend)  # noqa: S101 (`Route.ways`)
        assert isinstance(target, ThirdPartyBackend)  # noqa: S101 (`Route.ways`)
        pulls = self._way == "pull"
        active, passive = (target, source) if pulls else (source, target)
        ours, theirs = (path, self._info.path) if pulls else (self._info.path, path)
        other: OtherSide = await wait(asked(partial(passive.as_other_side, theirs)))
        if not await wait(asked(partial(active.may_copy_with, other.url))):
            raise UnsupportedError(
                f"{other.url.partition('?')[0]} is not allowed in a copy from server to server",
                path=path,
                remedy="add its host to copy_hosts",
            )
        act: Callable[..., Future[None]] = active.pull if pulls else active.push
        await wait(act(ours, other, overwrite=overwrite, marked=self._mark))

    def _mark(self, seen: int) -> None:
        """Take note of all bytes that have been transferred so far."""
        seen = min(seen, self.size)
        if self._progress is not None and seen != self._seen:
            self._progress(seen - self._seen)
        self._seen = seen


async def _through_here(
    route: Route, info: FileInfo, path: str, overwrite: bool, progress: Progress | None
) -> TransferResult:
    """Download to a temporary file and upload that: each side is verified, and begins again or goes on by itself."""
    halves = None if progress is None else _Halves(progress)
    try:
        with spool_folder(route.source.door + info.path) as folder:
            spool = folder / "whole"
            down = await fetch(route.source, halves, info=info, local=spool, overwrite=True)
            up = await send(route.target, halves, local=spool, path=path, overwrite=overwrite)
    except OSError as error:
        raise explained(error, Path(tempfile.gettempdir()), "keep what is copied in") from error
    checksums, retries = {**down.checksums, **up.checksums}, down.retries + up.retries
    return TransferResult(path, spool, up.size, checksums, retries=retries, resumed=down.resumed)


class _Halves:
    """Progress of bytes that pass twice."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._passed = 0

    def __call__(self, count: int) -> None:
        before = self._passed // 2
        self._passed += count
        self._progress(self._passed // 2 - before)
