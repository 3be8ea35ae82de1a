"""The target of an upload, as the server tells of it: what is there, what is missing, and why it is refused."""

from ctadata_providers.backends import FileInfo
from ctadata_providers.errors import (
    AlreadyExistsError,
    CtaError,
    IsADirError,
    NotADirError,
    NotFoundError,
    StorageError,
    TransientError,
)
from ctadata_providers.transfer import explanations
from ctadata_providers.transfer.context import Context
from ctadata_providers.transfer.folders import make_dirs
from ctadata_providers.transfer.tidying import removed
from ctadata_providers.uri import split


class Target:
    """A name under which a file is to be stored. What asks the server blocks.

    Args:
        context: What the transfers of a client share.
        path: The name.
    """

    def __init__(self, context: Context, path: str) -> None:
        self._context = context
        self._backend = context.backend
        self._path = path

    def found(self) -> FileInfo | None:
        """Return the file that is there, None when there is none.

        Raises:
            IsADirError: When it is a folder.
        """
        try:
            info = self._backend.stat(self._path)
        except NotFoundError:
            return None
        if info.is_dir:
            raise explanations.is_folder(self._path)
        return info

    def refuse_existing(self) -> None:
        """Make sure that nothing is there.

        Raises:
            AlreadyExistsError: When it is a file.
            IsADirError: When it is a folder.
        """
        if self.found() is not None:
            raise AlreadyExistsError(
                f"cannot upload {self._path}: it exists",
                path=self._path,
                remedy="remove it first, or allow overwriting",
            )

    def make_parents(self) -> bool:
        """Make the missing parents; return whether any was missing.

        Raises:
            NotADirError: When a file stands where the folder is needed.
        """
        folder = split(self._path)[0]
        try:
            is_dir = self._context.cleaner.stat(folder).is_dir  # once: the write itself is tried again
        except NotFoundError:
            make_dirs(self._backend, folder)
            return True
        if not is_dir:
            raise explanations.below_file(self._path, folder)
        return False

    def freed(self, before: FileInfo | None, *, stored: bool) -> bool | None:
        """Remove what a failed upload has left there, as `tidying.removed` does; an untouched old file is none.

        Args:
            before: What was there before.
            stored: Whether the upload has stored something, so that nothing there is untouched.
        """
        try:
            now = self._context.cleaner.stat(self._path)
        except NotFoundError:
            return None
        except CtaError:
            return False
        untouched = before is not None and now.is_as(before)
        if now.is_dir or (untouched and not stored):
            return None
        return removed(self._context, self._path)

    def refuses_length(self, error: CtaError) -> bool:
        """Tell whether the name may be why: servers answer so to one that their file system does not take."""
        refused = isinstance(error, StorageError) and error.status in (403, 404, 500)
        return refused and explanations.has_long_name(self._path)

    def explained(self, error: CtaError) -> CtaError:
        """Return a better error where it is a folder or below a file: servers answer with anything then."""
        if self.refuses_length(error):
            return explanations.too_long(self._path, error)
        gone = isinstance(error, TransientError) and error.status is None
        if gone or isinstance(error, (IsADirError, NotADirError)):
            return error
        folder = self._path
        while folder != "/":
            try:
                is_dir = self._backend.stat(folder).is_dir
            except NotFoundError:
                folder = split(folder)[0]
                continue
            except CtaError:
                return error
            if folder == self._path:
                return explanations.is_folder(folder) if is_dir else error
            return error if is_dir else explanations.below_file(self._path, folder)
        return error
