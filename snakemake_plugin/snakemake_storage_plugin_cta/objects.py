"""A file or folder of a workflow, as Snakemake asks for it."""
# mypy: disable-error-code="import-untyped"
# (The interface ships no py.typed; the class that inherits from it says so again.)

import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_storage_plugins.exceptions import FileOrDirectoryNotFoundError
from snakemake_interface_storage_plugins.io import IOCacheStorageInterface, Mtime
from snakemake_interface_storage_plugins.storage_object import (
    StorageObjectGlob,
    StorageObjectRead,
    StorageObjectTouch,
    StorageObjectWrite,
)

from snakemake_storage_plugin_cta import queries
from snakemake_storage_plugin_cta.removal import make_removable, set_aside
from snakemake_storage_plugin_cta.signals import keep_sigterm_from_blocking

if TYPE_CHECKING:
    from ctadata_providers import CtaError, FileInfo
    from ctadata_providers.uri import Address
    from snakemake_storage_plugin_cta import StorageProvider
    from snakemake_storage_plugin_cta.storage import Storage

T = TypeVar("T")
_CHECKSUMS = {"sha-256": "sha256", "md5": "md5"}
"""Checksums that Snakemake can compute, too, by our names and its own; adler32 is not among them."""


class StorageObject(StorageObjectRead, StorageObjectWrite, StorageObjectGlob, StorageObjectTouch):  # type: ignore[misc]
    """A file or folder at a `cta://` address.

    What it is, how large and how old is answered from what the server told a few seconds ago at most. Snakemake calls
    the `managed_` methods, in an event loop, which they do not block; the plain ones wait.
    """

    query: str

    def __post_init__(self) -> None:
        self._given = self.query
        if self.provider.is_declaring or queries.has_wildcards(self.query):
            return
        try:
            profile, path = self._address.name, self._address.path
        except ValueError:
            return  # Snakemake will ask whether the query is valid
        self.provider.want(self.query)
        if self.provider.is_unproven(profile, self.query):
            self._prove(path)
        if self.provider.delivers(self.local_path()):
            self._bring_folder(path)
        if not self.retrieve:
            # A job reads this where it is: it is given what its programs understand.
            self.query = self._url(path)

    def _prove(self, path: str) -> None:
        from ctadata_providers.errors import CtaError

        try:
            self._storage.find(path)
        except CtaError as error:
            raise self._failed("check existence of", error) from error

    def _bring_folder(self, path: str) -> None:
        """Bring the folder that a checkpoint has made in an earlier run: input functions look for what is in it.

        Snakemake fetches a file of a checkpoint when it is opened, but a folder never: an input function would find
        nothing in it, and the result of an earlier run would be replaced by one of no inputs.
        """
        from ctadata_providers.errors import CtaError

        try:
            if self._storage.bring_folder(path, self.local_path(), anew=self.provider.is_main_process):
                self.provider.logger.info(f"Retrieved from storage for a checkpoint: {self.print_query}")
        except CtaError as error:
            raise self._failed("retrieve storage object from", error) from error

    def _url(self, path: str) -> str:
        from ctadata_providers.errors import CtaError

        try:
            return self._storage.url(path)
        except CtaError as error:
            raise self._failed("tell the URL of", error) from error

    def is_valid_query(self) -> Any:
        """Tell whether the query is an address."""
        return self.provider.is_valid_query(self._text)

    @property
    def keep_local(self) -> bool:
        """Whether the local copy stays; that of a protected output until Snakemake, at last, has write-protected it."""
        return self._keep_local or (self.provider.protects(self._text) and self._is_writable())

    @keep_local.setter
    def keep_local(self, value: bool) -> None:
        self._keep_local = value

    def _is_writable(self) -> bool:
        try:
            return bool(self.local_path().stat().st_mode & stat.S_IWUSR)
        except OSError:
            return False

    @property
    def _text(self) -> str:
        # Snakemake rewrites `query` on copies of an object; a URL is what was made of an address above.
        return self.query if self.query.startswith(queries.SCHEME) else self._given

    @property
    def _address(self) -> "Address":
        return queries.parse(self._text)

    @property
    def _storage(self) -> "Storage":
        provider: StorageProvider = self.provider
        return provider.storage(self._address.name)

    def _find(self) -> "FileInfo | None":
        return self._storage.find(self._address.path)

    async def _found(self, act: str) -> "FileInfo | None":
        from ctadata_providers.errors import CtaError

        try:
            return await self._storage.found(self._address.path)
        except CtaError as error:
            raise self._failed(act, error) from error

    def _failed(self, act: str, error: "CtaError", *further: str) -> WorkflowError:
        return WorkflowError(f"Failed to {act} {self.print_query}", error, *further)

    def local_suffix(self) -> str:
        """Return the place of the local copy, unique for each file of each profile."""
        return queries.local_suffix(self._text)

    def get_inventory_parent(self) -> str:
        """Return the key under which the inventory of the folder is noted."""
        return f"{self.provider.key_prefix}{queries.folder_suffix(self._text)}"

    def _cache_key(self, path: str) -> str:
        suffix = queries.local_suffix(queries.of_path(path, self._address.name))
        return f"{self.provider.key_prefix}{suffix}"

    async def inventory(self, cache: IOCacheStorageInterface) -> None:
        """Tell the cache what is known of the folder that this object lies in; of a large or secret one, of this alone.

        Raises:
            WorkflowError: When the server did not answer.
        """
        parent = self.get_inventory_parent()
        if parent in cache.exists_in_storage.has_inventory:
            return
        from ctadata_providers.errors import CtaError

        path = self._address.path
        try:
            storage = self._storage
            info, entries = await storage.around(path)
        except CtaError as error:
            raise self._failed("list the folder of", error) from error
        if parent in cache.exists_in_storage.has_inventory:
            return  # by another that has waited for the same
        folder = path.rpartition("/")[0] or "/"
        if entries is None:
            key = self._cache_key(path)
            cache.exists_in_storage[key] = info is not None
            entries = {} if info is None else {info.name: info}
        else:
            cache.exists_in_storage.has_inventory.add(parent)
        wanted = storage.listing.wanted(folder)
        exists, mtimes, sizes = cache.exists_in_storage, cache.mtime, cache.size
        for name, entry in entries.items():
            key = f"{parent}/{name}" if folder != "/" else self._cache_key(entry.path)
            exists[key] = True
            if name in wanted:
                mtimes[key] = Mtime(storage=self._mtime(entry))
                sizes[key] = _size(entry)

    def exists(self) -> bool:
        """Tell whether the file or folder exists in the storage."""
        return self._find() is not None

    async def managed_exists(self) -> bool:
        """Tell whether the file or folder exists in the storage."""
        return await self._found("check existence of") is not None

    def mtime(self) -> float:
        """Return the time of the last change in epoch seconds, 0 where the server keeps none."""
        info = self._find()
        return self._mtime(info) if info else self._unstored().st_mtime

    async def managed_mtime(self) -> float:
        """Return the time of the last change in epoch seconds, 0 where the server keeps none."""
        info = await self._found("get mtime of")
        return self._mtime(info) if info else self._managed_unstored().st_mtime

    def size(self) -> int:
        """Return the size in bytes, 0 for a folder."""
        info = self._find()
        return _size(info) if info else self._unstored().st_size

    async def managed_size(self) -> int:
        """Return the size in bytes, 0 for a folder."""
        info = await self._found("get size of")
        return _size(info) if info else self._managed_unstored().st_size

    def checksum(self) -> str | None:
        """Return a checksum that Snakemake can compare, where the server told one unasked."""
        return self._checksum(self._find())

    async def managed_checksum(self) -> str | None:
        """Return a checksum that Snakemake can compare, where the server told one unasked."""
        return self._checksum(await self._found("get checksum of"))

    def _mtime(self, info: "FileInfo") -> float:
        return self._storage.times.here(info.mtime)

    def _checksum(self, info: "FileInfo | None") -> str | None:
        if info is None:
            return None
        try:
            copied = self.local_path().stat().st_mtime
        except OSError:
            return _checksum(info)
        # Where we tell none, Snakemake takes that of the local copy, also of one that is older than the original: it is
        # told one that is equal to none, not even to one that it has noted.
        return f"sha256:outdated-{uuid.uuid4().hex}" if copied < self._mtime(info) else _checksum(info)

    def local_footprint(self) -> int:
        """Return the bytes that a local copy takes: for a folder the sum over all files in it."""
        info = self._find()
        if info is None or not info.is_dir:
            return self.size()
        return sum(_size(entry) for entry in self._storage.walk(info.path))

    async def managed_local_footprint(self) -> int:
        """Return the bytes that a local copy takes: for a folder the sum over all files in it."""
        info = await self._found("get expected local footprint (i.e. size) of")
        if info is None or not info.is_dir:
            return await self.managed_size()
        return await self._managed("get expected local footprint (i.e. size) of", self.local_footprint)

    def _unstored(self) -> os.stat_result:
        """Describe an output that is not stored yet by its local copy: `ensure()` asks before it is stored.

        Raises:
            NotFoundError: When there is no local copy either.
        """
        try:
            local: Path = self.local_path()
            return local.stat()
        except FileNotFoundError as error:
            from ctadata_providers.errors import NotFoundError

            raise NotFoundError(f"{self._text} does not exist", path=self._address.path) from error

    def _managed_unstored(self) -> os.stat_result:
        try:
            return self._unstored()
        except FileNotFoundError as error:
            raise FileOrDirectoryNotFoundError(self.local_path(), self.print_query) from error

    def retrieve_object(self) -> None:
        """Bring the file or folder to the local path, whole or not at all."""
        self._storage.retrieve(self._address.path, self.local_path())

    async def managed_retrieve(self) -> None:
        """Bring the file or folder to the local path, whole or not at all, together with others."""
        from ctadata_providers.errors import CtaError

        await self.wait_for_free_space()
        try:
            await self._storage.retrieved(self._address.path, self.local_path())
        except CtaError as error:
            raise self._failed("retrieve storage object from", error) from error

    def store_object(self) -> None:
        """Send the file or folder at the local path; missing parents are made."""
        self._storage.store(self.local_path(), self._address.path)

    async def managed_store(self) -> None:
        """Send the file or folder at the local path; missing parents are made.

        What an ended token, a full storage or a fault has kept from being stored is set aside: it may have taken hours.
        """
        from ctadata_providers.errors import CredentialError, CtaError, QuotaError, TransientError

        keep_sigterm_from_blocking()
        try:
            await self._storage.put(self.local_path(), self._address.path)
        except (CredentialError, QuotaError, TransientError) as error:
            place = set_aside(self.local_path())
            kept = () if place is None else (f"It is kept as {place}",)
            raise self._failed("store output in storage", error, *kept) from error
        except CtaError as error:
            raise self._failed("store output in storage", error) from error

    def remove(self) -> None:
        """Remove the file, or the folder with all in it.

        Raises:
            PermissionDeniedError: For what neither this process has stored nor any rule writes.
        """
        path = self._address.path
        if path not in self._storage.stored and not self.provider.writes(self._text):
            from ctadata_providers.errors import PermissionDeniedError

            raise PermissionDeniedError(
                f"{self._text} is not removed: no rule of this workflow writes it",
                path=path,
                remedy="remove it by hand (ctadata rm) if that was meant",
            )
        self._storage.remove(path)

    async def managed_remove(self) -> None:
        """Remove the file, or the folder with all in it, if the workflow writes it; its local copy, too.

        Snakemake leaves the copy: the job that makes the output anew would find it, and store a folder with old files.
        """
        await self._managed("remove storage object", self.remove)
        await self._storage.run(self._remove_copy)

    def _remove_copy(self) -> None:
        local: Path = self.local_path()
        if local.is_dir() and not local.is_symlink():
            make_removable(local)
            shutil.rmtree(local, ignore_errors=True)
        else:
            local.unlink(missing_ok=True)

    def touch(self) -> None:
        """Give the file or folder the present time; an absent one becomes an empty file.

        Raises:
            UnsupportedError: For a file above 1 MiB, because it is downloaded and uploaded again.
        """
        self._storage.touch(self._address.path)

    async def managed_touch(self) -> None:
        """Give the file or folder the present time; an absent one becomes an empty file."""
        await self._managed("touch storage object", self.touch)

    async def _managed(self, act: str, function: Callable[[], T]) -> T:
        from ctadata_providers.errors import CtaError

        try:
            return await self._storage.run(function)
        except CtaError as error:
            raise self._failed(act, error) from error

    def list_candidate_matches(self) -> Iterable[str]:
        """Return the queries of all files and folders that the pattern may match, of one that ends in `/` the folders.

        A wildcard also matches `/`, so that every folder below the last constant one is listed.

        Raises:
            WorkflowError: When the server did not answer.
        """
        from ctadata_providers.errors import CtaError

        folder, start = queries.constant_folder(self.query)
        provider: StorageProvider = self.provider
        try:
            address = queries.parse(folder)
            found = provider.storage(address.name).walk(address.path, start)
            if self.query.endswith("/"):
                return [f"{query}/" for query in queries.below(folder, (info.path for info in found if info.is_dir))]
            return list(queries.below(folder, (info.path for info in found)))
        except CtaError as error:
            raise self._failed("list what matches", error) from error

    def cleanup(self) -> None:
        """Forget what was noted of the local copy, and let Snakemake remove it, which it does itself."""
        self._storage.clean_up(self.local_path())
        make_removable(self.local_path())


def _size(info: "FileInfo") -> int:
    return 0 if info.is_dir else info.size or 0


def _checksum(info: "FileInfo") -> str | None:
    known = info.checksums
    return next((f"{theirs}:{known[ours]}" for ours, theirs in _CHECKSUMS.items() if ours in known), None)
