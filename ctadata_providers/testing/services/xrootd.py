"""Listings as XRootD writes them: raw names, folders without a slash, and with a size."""

from collections.abc import Iterable
from xml.sax.saxutils import escape

from ctadata_providers.testing import propfind
from ctadata_providers.testing.entries import Entry

SERVER = "XrootD/v5.5.3"
NO_UPLOAD = "Invalid chunked encoding"
"""What 5.5 says to every upload of the service, whose bodies have no length."""

_FOLDER_SIZE = 4096
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:" xmlns:lp1="DAV:">\n'
_TAIL = "</D:multistatus>\n"


def xrootd_listing(entries: Iterable[Entry], base: str) -> str:
    """Return the answer to a PROPFIND.

    Args:
        entries: What is listed.
        base: The path of the root at the storage, with a slash at its end.
    """
    return _HEAD + "".join(_response(entry, base) for entry in entries) + _TAIL


def _response(entry: Entry, base: str) -> str:
    href = escape((base + entry.path.removeprefix("/")).encode(errors="replace").decode())
    size = _FOLDER_SIZE if entry.is_dir else entry.size or 0
    kind = "<lp1:resourcetype><D:collection/></lp1:resourcetype>" if entry.is_dir else "<lp1:resourcetype/>"
    return (
        f"<D:response><D:href>{href}</D:href><D:propstat><D:prop>"
        f"<lp1:getcontentlength>{size}</lp1:getcontentlength>"
        f"<lp1:getlastmodified>{propfind.http_date(entry.mtime_ns)}</lp1:getlastmodified>"
        f"{kind}<lp1:iscollection>{int(entry.is_dir)}</lp1:iscollection><lp1:executable>T</lp1:executable>"
        "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>\n"
    )
