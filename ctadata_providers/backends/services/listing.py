"""Listings of the downloadservice by its JSON route, read as they arrive."""

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any

from ctadata_providers.backends.base import FileInfo
from ctadata_providers.backends.entries import Place, entry_name, number
from ctadata_providers.errors import StorageError, TransientError

MAX_ENTRY_CHARACTERS = 256 * 1024
XROOTD_FOLDER = 4096
"""The size that XRootD tells of its folders, which pass for files."""
_BETWEEN = " \t\r\n,["


def entries(chunks: Iterable[bytes], *, path: str) -> Iterator[dict[str, Any]]:
    """Give the objects of a JSON array as its bytes arrive.

    Raises:
        TransientError: When the answer breaks off.
        StorageError: When it is no such array.
    """
    decode, read = codecs.getincrementaldecoder("utf-8")("replace"), json.JSONDecoder().raw_decode
    text, begun = "", False
    for chunk in chunks:
        text += decode.decode(chunk)
        if not begun and text.lstrip()[:1] not in ("", "["):
            raise _no_listing(path)
        begun = begun or bool(text.strip())
        at = 0
        while True:
            while text[at : at + 1] and text[at] in _BETWEEN:
                at += 1
            try:
                entry, at = read(text, at)
            except ValueError:  # not whole yet, or the end
                break
            except RecursionError as error:
                raise _no_listing(path) from error
            if not isinstance(entry, dict) or not isinstance(entry.get("href"), str):
                raise _no_listing(path)
            yield entry
        text = text[at:]
        if len(text) > MAX_ENTRY_CHARACTERS:
            raise _no_listing(path)
    if not begun:
        raise _no_listing(path)
    if text.strip() != "]":
        raise TransientError(f"the listing of {path} broke off", path=path, remedy="try again later")


def name_of(entry: dict[str, Any], folder: str, base: str) -> str | None:
    """Return the name of an entry in its folder, None for the folder itself.

    Raises:
        StorageError: When it leads out of the folder.
    """
    href = "/" + entry["href"].lstrip("/")
    return entry_name(href, folder, Place(base, "/", literal_hrefs=None))


def info_of(entry: dict[str, Any], path: str) -> FileInfo:
    """Return what an entry tells of a path.

    The root passes for a file without a size, a folder of XRootD for one of 4096 bytes: of these only WebDAV knows.
    """
    is_dir = entry.get("type") == "directory" or entry["href"].endswith("/") or path == "/"
    modified, size = entry.get("mtime"), str(entry.get("size", ""))
    return FileInfo(
        path=path,
        is_dir=is_dir,
        size=None if is_dir else number(size),
        modified=modified if isinstance(modified, str) and modified else None,
    )


def _no_listing(path: str) -> StorageError:
    return StorageError(
        f"the answer for {path} is not a listing", path=path, remedy="check that service_url is the downloadservice"
    )
