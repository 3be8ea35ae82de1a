"""`cta://` for universal_pathlib: a path that works like those of pathlib."""

import fsspec
from upath import UPath

from ctadata_providers.filesystem.system import CtaFileSystem
from ctadata_providers.uri import format_uri

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

    def __str__(self) -> str:
        text = super().__str__()
        absolute = self._relative_base is None and text.startswith("cta:")
        return format_uri(self.path) if absolute else text
