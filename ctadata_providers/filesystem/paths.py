"""`cta://` for universal_pathlib: a path that works like those of pathlib."""

from collections.abc import Iterator
from typing import Any, Self

import fsspec
from upath import UPath
from upath.types import WritablePathLike

from ctadata_providers import uri
from ctadata_providers.errors import NotADirError
from ctadata_providers.filesystem.instances import without_secrets
from ctadata_providers.filesystem.system import CtaFileSystem

fsspec.register_implementation("cta", CtaFileSystem, clobber=True)  # universal_pathlib parses by the class


class CtaPath(UPath):
    """A path in a CTA storage; the storage options are the names of `Config`.

    >>> path = UPath("cta://lst/DL3/a#1.fits", backend="memory")
    >>> path.name, path.path, str(path.parent)
    ('a#1.fits', '/lst/DL3/a#1.fits', 'cta://lst/DL3')
    """

    __slots__ = ()

    @property
    def path(self) -> str:
        """The plain path, absolute."""
        path = super().path
        return "/" if path in ("", ".") else path

    def is_absolute(self) -> bool:
        """Tell that it is, unless it is relative to another."""
        return self._relative_base is None or super().is_absolute()

    def iterdir(self) -> Iterator[Self]:
        """Give what is in the folder, by one request.

        Raises:
            NotFoundError: When there is no such folder.
            NotADirError: When it is a file.
        """
        folder = self if self.name else self.parent  # a slash at the end is an empty name
        entries = self.fs.ls(folder.path)
        if [entry["name"] for entry in entries] == [folder.path]:
            raise NotADirError(f"cannot list {folder.path}: it is a file", path=folder.path, remedy="list its folder")
        for entry in entries:
            yield folder / uri.split(entry["name"])[1]

    def replace(self, target: WritablePathLike) -> Self:
        """Rename it; a file at the target is replaced."""
        return self.rename(target)

    def __reduce__(self) -> tuple[Any, ...]:
        make, (kind, parts, options) = super().__reduce__()  # type: ignore[no-untyped-call]  # nothing says what it is
        return make, (kind, parts, without_secrets(options))

    def __str__(self) -> str:
        text = super().__str__()
        absolute = self._relative_base is None and text.startswith("cta:")
        return uri.format_uri(self.path) if absolute else text
