"""`cta://` in the Python data world: a file system for fsspec, and a path for universal_pathlib.

>>> import fsspec
>>> fs = fsspec.filesystem("cta", backend="memory")
>>> fs.pipe("cta://lst/DL3/notes.txt", b"dark night")
>>> fs.cat("cta://lst/DL3/notes.txt"), fs.ls("cta://lst", detail=False)
(b'dark night', ['/lst/DL3'])
"""

try:
    import fsspec  # noqa: F401 (asked for here, so that what is missing is said once)
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "ctadata_providers.filesystem needs fsspec: pip install 'ctadata-providers[fsspec]'", name="fsspec"
    ) from error

from ctadata_providers.filesystem.files import CtaFile
from ctadata_providers.filesystem.system import CtaFileSystem

__all__ = ["CtaFile", "CtaFileSystem"]
