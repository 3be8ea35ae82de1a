"""Several files that are stored together: looked at before the first one is stored, for that cannot be undone."""

from typing import TYPE_CHECKING

from fsspec.transaction import Transaction

from ctadata_providers.errors import StorageError

if TYPE_CHECKING:
    from ctadata_providers.filesystem.files import CtaFile
    from ctadata_providers.filesystem.system import CtaFileSystem


class CtaTransaction(Transaction):  # type: ignore[misc]  # fsspec has no types
    """Stores all of its files at its end, or none if one of them is known to fail."""

    fs: "CtaFileSystem"

    def complete(self, commit: bool = True) -> None:
        """Store the files, or forget them.

        Raises:
            StorageError: When one of them is still open, has changed since it was appended to, or needs what another of
                them makes.
            AlreadyExistsError: When one is to be new, and is not.
            IsADirError: When one has the name of a folder.
        """
        storable = False
        try:
            if commit:
                self._check([file for file in self.files if not file.discarded])
            storable = commit
        finally:
            super().complete(commit=storable)

    def _check(self, files: "list[CtaFile]") -> None:
        seen: set[str] = set()
        for file in files:
            file.check_whole()
            if file.path in seen and file.mode != "wb":
                raise StorageError(
                    f"{file.path} is in the transaction twice, and mode '{file.mode[0]}' goes by what is stored before:"
                    " nothing is stored",
                    path=file.path,
                    remedy="write it once",
                )
            seen.add(file.path)
        self.fs.at_once(lambda file: file.check_target(), files)
