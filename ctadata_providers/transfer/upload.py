"""The life of an upload: temporary name, bytes, verification, rename."""

import logging
import os
from collections.abc import Mapping
from concurrent.futures import CancelledError
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from ctadata_providers.backends import FileInfo, RenameBackend, WriteResult
from ctadata_providers.errors import (
    AlreadyExistsError,
    CredentialError,
    CtaError,
    IntegrityError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    TransientError,
    UnsupportedError,
)
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import asked, following, in_thread, wait
from ctadata_providers.transfer import explanations, verify
from ctadata_providers.transfer.asking import in_own_thread
from ctadata_providers.transfer.context import Attempts, Context, Progress, TransferResult
from ctadata_providers.transfer.events import TransferEvent, watched
from ctadata_providers.transfer.names import part_name
from ctadata_providers.transfer.notes import Remembered, abandoned, remember
from ctadata_providers.transfer.sources import LocalSource
from ctadata_providers.transfer.target import Target
from ctadata_providers.transfer.tidying import cleared, removed, tidy, until_cleared
from ctadata_providers.uri import split

logger = logging.getLogger(__name__)

LOOKED_FOR_FROM = 16 * 1024 * 1024
"""Bytes from which the target is looked at before they are sent: it may be a folder, which the rename would tell."""


async def upload(
    context: Context, local: Path, path: str, *, overwrite: bool = True, progress: Progress | None = None
) -> TransferResult:
    """Upload one file; the remote target is whole or as it was before, where the server can rename.

    Elsewhere it is written under its name, verified, and removed again on failure. Missing parents are made.

    Raises:
        IsADirError: When the local path or the target is a folder.
        AlreadyExistsError: When the target exists and may not be overwritten.
        IntegrityError: When what is stored is not what was sent; says so if a partial file may remain.
        QuotaError: When the storage is full.
        TransientError: When the retries are used up.
    """
    first = TransferEvent("start", "upload", path, local)
    return await watched(context, first, progress, partial(send, local=local, path=path, overwrite=overwrite))


async def send(
    context: Context, progress: Progress | None, *, local: Path, path: str, overwrite: bool
) -> TransferResult:
    """Upload one file, as `upload`, but tell nobody of it."""
    source = await _opened(context, local, progress)
    try:
        return await store(context, source, path, overwrite=overwrite, write=context.backend.write)
    finally:
        source.close()


async def _opened(context: Context, local: Path, progress: Progress | None) -> LocalSource:
    """Open a file; what is none may let us wait for its bytes, which here would hold up all transfers."""
    opening = partial(LocalSource, local, algorithm=verify.algorithm_for(context, {}), progress=progress)
    if os.path.isfile(local):  # noqa: PTH113 (it never raises)
        return opening()
    opened = in_own_thread(opening)
    try:
        return await wait(following(opened))
    except CancelledError:
        opened.add_done_callback(_close)
        raise


def _close(opened: Future[LocalSource]) -> None:
    if opened.value is not None:
        opened.value.close()


class Sending(Protocol):
    """What is to be stored: a local file, or one on another server that is fetched from there.

    Attributes:
        local: The local file.
        size: Bytes.
        rewinds: How often it was begun anew, also by the session: it sends again what was redirected or not answered.
    """

    local: Path
    size: int
    rewinds: int

    @property
    def checksums(self) -> Mapping[str, str]:
        """Checksums of the bytes that were sent, as far as they are known when all were."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, empty at the end."""

    def rewind(self) -> None:
        """Go back to the first byte."""

    async def reread(self, algorithm: str, /) -> str | None:
        """Return another checksum of the same bytes, None when nobody can tell it."""

    def check_unchanged(self) -> None:
        """Make sure that all was sent and did not change meanwhile."""


class Write(Protocol):
    """How the bytes get to the server, as `Backend.write`."""

    def __call__(self, path: str, source: Sending, /, *, size: int, overwrite: bool) -> Future[WriteResult]:
        """Store `size` bytes under a name; a failure may leave a part of them there."""


async def store(context: Context, source: Sending, path: str, *, overwrite: bool, write: Write) -> TransferResult:
    """Store something as `upload` does a local file."""
    return await _Upload(context, source, path, overwrite, write).run()


class _Upload:
    """One upload on its way."""

    def __init__(self, context: Context, source: Sending, path: str, overwrite: bool, write: Write) -> None:
        self._context = context
        self._backend = context.backend
        self._source = source
        self._write = write
        self._path = path
        self._target = Target(context, path)
        self._overwrite = overwrite
        self._attempts = Attempts(context)
        self._unanswered = False
        self._stopped = False
        self._stored = False
        self._renaming: Future[bool] | None = None
        self._seen_stored: FileInfo | None = None
        self._checksums: Mapping[str, str] = {}
        self._late: list[Remembered] = []

    async def run(self) -> TransferResult:
        await until_cleared(self._context, self._path)
        if not self._overwrite:
            await wait(asked(self._target.refuse_existing))
        elif self._source.size >= LOOKED_FOR_FROM:
            await wait(asked(self._target.found))
        await wait(asked(self._remove_abandoned))
        try:
            if not (self._can_rename() and await self._through_temporary_name()):
                await self._under_its_name()
        except IntegrityError:
            raise  # it tells all; that of a cancelled upload must not wait for a thread
        except StorageError as error:
            raise await wait(asked(partial(self._target.explained, error))) from error
        if self._late:
            await wait(asked(self._remove_late))
        attempts = self._attempts
        return TransferResult(
            self._path,
            self._source.local,
            self._source.size,
            self._checksums,
            attempts.seconds,
            attempts.retries,
            stored=self._seen_stored,
        )

    def _can_rename(self) -> bool:
        return isinstance(self._backend, RenameBackend) and self._backend.can_rename(self._path)

    async def _through_temporary_name(self) -> bool:
        """Store under a hidden name, verify, rename; return False when the server turns out not to rename."""
        folder, name = split(self._path)
        address = self._context.door + self._path
        temporary = f"{folder.rstrip('/')}/{part_name(name, address)}"
        remembered = remember(self._context.door, self._path, temporary)
        renamed = refused = False
        try:
            await self._store(temporary, overwrite=True)
            renamed = await self._renamed(temporary)
        except CtaError as error:
            refused = isinstance(error, CredentialError)
            raise explanations.named(self._path, temporary, error) from error
        except CancelledError:
            self._stopped = True
            raise
        finally:
            if renamed:
                remembered.forget()
            elif refused:  # what was refused once is not sent again: the next upload removes what is there
                remembered.end()
            else:
                unanswered, stopped, renaming = self._unanswered, self._stopped, self._renaming
                await tidy(self._context, remembered, unanswered=unanswered, stopped=stopped, renaming=renaming)
        return renamed

    async def _renamed(self, temporary: str) -> bool:
        while True:
            self._renaming = in_thread(partial(self._rename, temporary))
            try:
                return await wait(following(self._renaming))
            except NotFoundError as error:
                await self._again(explanations.not_yet(self._path, error))
            except TransientError as error:
                await self._again(error)

    async def _again(self, error: TransientError) -> None:
        """Wait before the next attempt, unless that would be in vain."""
        if self._target.refuses_length(error):
            raise error
        await self._attempts.again(error)

    async def _under_its_name(self) -> None:
        """Store under the final name; what a failure leaves there is removed, an untouched old file is not."""
        before = await wait(asked(self._target.found))
        self._stored = False
        begun = None
        try:
            self._source.rewind()
            begun = self._source.rewinds
            await self._store(self._path, overwrite=self._overwrite)
        except Exception as error:  # also what the caller's progress raises
            refused = isinstance(error, (PermissionDeniedError, CredentialError, AlreadyExistsError))
            # A token that may only create is forbidden to write over what an attempt before has left.
            again = isinstance(error, PermissionDeniedError) and self._source.rewinds != begun
            if refused and not (self._stored or again):  # nothing was stored, at least by this attempt
                if isinstance(error, AlreadyExistsError) and before is None:
                    raise explanations.came_to_exist(self._path, error) from error
                raise
            free = partial(self._target.freed, before, stored=self._stored)
            unanswered, stopped = self._unanswered, isinstance(error, CancelledError)
            if not await cleared(self._context, self._path, free, unanswered=unanswered, stopped=stopped):
                if not isinstance(error, (CtaError, CancelledError)):
                    error.add_note(f"a partial file may remain at {self._path}: remove it before anything reads it")
                    raise
                raise IntegrityError(
                    f"the upload to {self._path} failed and a partial file may remain there: {error}",
                    path=self._path,
                    remedy="remove it before anything reads it",
                ) from error
            raise

    async def _store(self, path: str, *, overwrite: bool) -> None:
        """Write the bytes under a name, again after transient faults, and verify what is there."""
        parents_seen = False
        while True:
            try:
                result = await self._sent(path, overwrite=overwrite)
                self._stored = True
                break
            except (NotFoundError, TransientError) as error:
                self._source.rewind()
                # A missing parent is 404, 409, and on nginx 500.
                missing = isinstance(error, NotFoundError)
                if not parents_seen and (await self._parents_made(error) or missing):
                    parents_seen = True  # made by us, or meanwhile by another
                elif isinstance(error, TransientError):
                    await self._again(error)
                else:
                    raise
        self._source.check_unchanged()
        await self._verify(path, result)

    async def _sent(self, path: str, *, overwrite: bool) -> WriteResult:
        """Write the bytes once, and know whether the server has answered."""
        self._unanswered = True
        try:
            result = await wait(self._write(path, self._source, size=self._source.size, overwrite=overwrite))
        except StorageError as error:
            self._unanswered = error.status is None and not isinstance(error, UnsupportedError)  # which sends nothing
            raise
        self._unanswered = False
        return result

    async def _parents_made(self, failed: CtaError) -> bool:
        """Make the missing parents after a failed write, and tell whether there were any.

        A server that does not answer this either says no more than it did: the failed write is what is told then. One
        that says that something is missing is there, and asked again.
        """
        while True:
            try:
                return await wait(asked(self._target.make_parents))
            except TransientError as error:
                if isinstance(failed, TransientError):
                    return False
                await self._again(error)

    async def _verify(self, path: str, result: WriteResult) -> None:
        info = await self._seen(path)
        if info.size is None:
            raise IntegrityError(f"{path}: the server does not tell the size of what it stored", path=path)
        verify.check_size(self._path, got=info.size, wanted=self._source.size, what="those sent were")
        offered = await verify.server_checksums(
            self._context, path, info.size, known={**result.checksums, **info.checksums}
        )
        source, required = self._source, self._context.checksum == "require"
        self._checksums = await verify.compared(
            self._path, computed=source.checksums, offered=offered, required=required, reread=source.reread
        )
        # A rename keeps the time and the bytes; whether it keeps the entity tag is the server's affair.
        self._seen_stored = info if path == self._path else replace(info, path=self._path, etag=None)

    async def _seen(self, path: str) -> FileInfo:
        """Look at what was just stored; dCache may say for a moment that there is nothing."""
        while True:
            try:
                return await wait(asked(partial(self._backend.stat, path)))
            except NotFoundError as error:
                await self._attempts.again(explanations.not_yet(self._path, error))

    # What blocks, in a thread of its own.

    def _rename(self, temporary: str) -> bool:
        """Rename to the target; with Overwrite only when the target is known to be a file (dCache deletes folders)."""
        backend = self._backend
        if not isinstance(backend, RenameBackend):
            return False
        try:
            try:
                backend.rename(temporary, self._path, overwrite=False)
            except AlreadyExistsError:
                if not self._overwrite or self._backend.stat(self._path).is_dir or self._stopped:
                    raise
                backend.rename(temporary, self._path, overwrite=True)
        except (PermissionDeniedError, UnsupportedError) as error:
            logger.info("%s; it is stored under its name without a rename", error.message)
            return False
        return True

    def _remove_abandoned(self) -> None:
        for remembered in abandoned(self._context.door, self._path):
            gone = removed(self._context, remembered.path)
            if gone:
                remembered.forget()
            elif gone is None:
                self._late.append(remembered)

    def _remove_late(self) -> None:
        """Look once more for what was not there: the last bytes of a process just killed may have been on their way."""
        for remembered in self._late:
            if removed(self._context, remembered.path) is not False:
                remembered.forget()
