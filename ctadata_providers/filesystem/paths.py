"""`cta://` for universal_pathlib: a path that works like those of pathlib."""

import fsspec
from upath import UPath

from ctadata_providers.filesystem.system import CtaFileSystem

fsspec.register_implementation("cta", CtaFileSystem, clobber=True)  # universal_pathlib parses by the class


class CtaPath(UPath):
    """A path in a CTA storage; the storage options are the names of `Config`.

    >>> path = UPath("cta://lst/DL3/a#1.fits", backend="memory")
    >>> path.name, path.parent.path, str(path / "..")
    ('a#1.fits', '/lst/DL3', 'cta://lst/DL3')
    """

    __slots__ = ()
