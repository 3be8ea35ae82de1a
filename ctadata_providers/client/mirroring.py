"""What the client does with whole trees on both sides: sync, verify, clean."""

from collections.abc import Callable, Iterable
from pathlib import Path

from ctadata_providers import uri
from ctadata_providers.client.connection import Connection
from ctadata_providers.errors import ConfigError
from ctadata_providers.local_places import local_path
from ctadata_providers.patterns import Selection
from ctadata_providers.transfer.cleaning import CleanResult, clean
from ctadata_providers.transfer.compare import Compare
from ctadata_providers.transfer.context import OnError, Progress
from ctadata_providers.transfer.trees.directions import Direction, Down, Up
from ctadata_providers.transfer.trees.sync import Change, SyncOptions, SyncResult, sync_tree
from ctadata_providers.transfer.trees.verification import Verification, verify_tree

DAY = 86400.0


class Mirroring(Connection):
    """A storage whose trees are made like local ones, compared with them, and freed of what killed uploads left."""

    def sync(
        self,
        source: Path | str,
        target: Path | str,
        *,
        compare: Compare = "auto",
        delete: bool = False,
        dry_run: bool = False,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        on_error: OnError = "stop",
        progress: Progress | None = None,
        on_change: Callable[[Change], object] | None = None,
    ) -> SyncResult:
        """Make a folder like another, one way: copy what is missing or differs, several files at once.

        One of the two is a `cta://` address, the other a local path. A file whose copy has another size is copied.
        Where the sizes are the same, `compare` says what else is looked at:

        * `auto`: the checksum, where the listing tells one (dCache), which reads the local file; else the time.
        * `mtime`: the copy is right when it is not older than its source, to the second. A download gets the time of
          its source.
        * `checksum`: the checksum, from the listing, else from the server, else computed by reading the remote file.
        * `size`: nothing.

        Args:
            source: The folder to copy.
            target: The folder to copy to, which is made.
            compare: What tells that a copy is right.
            delete: Whether what only the target has is removed, but for what is not selected: only when all copies are
                made and nothing failed.
            dry_run: Change nothing; the result tells what would be done.
            include: Patterns of what is taken; see `Selection`.
            exclude: Patterns of what is left alone, here and there.
            on_error: `stop` at the first error, which is raised, or `continue` and tell them in the result.
            progress: Called with the bytes that have just passed, in another thread; negative when a retry begins.
            on_change: Called with each change when it is made, of a dry run when it is found.

        Raises:
            ConfigError: When not exactly one of the two is a `cta://` address.
            NotFoundError: When the source does not exist.
            NotADirError: When source or target is a file.
            PermissionDeniedError: When `delete` is asked for at the root.
        """
        options = SyncOptions(
            compare=compare,
            delete=delete,
            dry_run=dry_run,
            selection=Selection.of(include, exclude),
            on_error=on_error,
            on_change=on_change,
        )
        direction: Direction
        if _is_remote(source) == _is_remote(target):
            raise ConfigError(
                f"cannot sync {source} to {target}: exactly one of them must be a cta:// address",
                remedy="write the remote folder as cta://lst/…, the local one as a path",
            )
        if _is_remote(source):
            direction = Down(self._transfers, local_path(target), self._path(str(source)), progress)
        else:
            direction = Up(self._transfers, local_path(source), self._path(str(target)), progress)
        return sync_tree(direction, options)

    def verify(
        self,
        local: Path | str,
        remote: str,
        *,
        compare: Compare = "checksum",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
    ) -> Verification:
        """Compare two files, or all files of two folders, and give the differences in the order of their paths.

        Files are compared as the result is iterated, several at once. Afterwards its `same` tells how many were the
        same. What cannot be compared is a difference of the kind `error`.

        Args:
            local: The local file or folder.
            remote: The remote file or folder.
            compare: By `checksum` (from the listing, else from the server, else computed by reading the remote file),
                or by `size` only.
            include: Patterns of what is compared; see `Selection`.
            exclude: Patterns of what is left out, here and there.

        Raises:
            ConfigError: For another way to compare.
            NotFoundError: At the first step, when neither of them exists.
        """
        selection = Selection.of(include, exclude)
        return verify_tree(self._transfers, local_path(local), self._path(remote), compare=compare, selection=selection)

    def clean(self, path: str, *, older_than: float = DAY, dry_run: bool = False) -> CleanResult:
        """Remove what killed uploads have left below a folder: hidden files and folders `.*.ctapart`.

        Stays what has changed within `older_than` seconds (by the server's own clock where it is known), what a process
        on this host may still be uploading, and what the server tells no time of. Choose more time than the
        longest upload takes that others may be making.

        Args:
            path: The folder.
            older_than: Seconds.
            dry_run: Remove nothing.

        Returns:
            All that was found, with what became of it.

        Raises:
            NotFoundError: When there is no such folder.
            NotADirError: When it is a file.
        """
        return clean(self._transfers, self._path(path), older_than=older_than, dry_run=dry_run)


def _is_remote(place: Path | str) -> bool:
    """Tell whether a place is an address.

    Raises:
        ConfigError: When it is one of another kind.
    """
    if isinstance(place, str) and "://" in place:
        uri.parse(place)
        return uri.is_uri(place)
    return False
