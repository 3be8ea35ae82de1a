"""What the answer to a GET tells of the bytes that come with it; servers are not believed in that."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from ctadata_providers.backends.base import ChangedError, EndedError, ReadResult
from ctadata_providers.backends.entries import number
from ctadata_providers.backends.servers import Server
from ctadata_providers.checksum import parse_digests
from ctadata_providers.errors import IntegrityError, TransientError, UnsupportedError
from ctadata_providers.session import Response, Sink
from ctadata_providers.session.request import room_of

TRANSFER_DIGEST = "adler32"
_SPAN = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")


class Span:
    """A sink for as many bytes as a range has."""

    def __init__(self, path: str, sink: Sink, size: int) -> None:
        self._path = path
        self._sink = sink
        self.room = room_of(sink)
        self._missing = size

    def __call__(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            IntegrityError: When there are more than were asked for.
        """
        if len(data) > self._missing:
            raise IntegrityError(f"the server sends more of {self._path} than was asked for", path=self._path)
        self._missing -= len(data)
        self._sink(data)

    def check_whole(self) -> None:
        """Make sure that all bytes have come.

        Raises:
            TransientError: When some are missing.
        """
        if self._missing:
            raise TransientError(
                f"the server sent {self._missing} bytes of {self._path} too few", path=self._path, remedy="try again"
            )


def asked_digest(server: Server) -> dict[str, str]:
    """Return the header that asks for the checksum of the whole file, where that costs the server nothing."""
    return {"Want-Digest": TRANSFER_DIGEST} if server.digest_on_transfer else {}


def asked_digests(response: Response, headers: Mapping[str, str], url: str) -> dict[str, str]:
    """Return the checksums that an answer tells, as `digests`, if the headers of the request have asked for them."""
    return digests(response, url) if "Want-Digest" in headers else {}


def digests(response: Response, url: str) -> dict[str, str]:
    """Return the checksums that an answer tells to a request for a URL.

    None where https was asked and a plain pool answers: they are to prove what came over plain http.
    """
    if url.startswith("https:") and not response.url.startswith("https:"):
        return {}
    return parse_digests(v for name, v in response.headers.items() if name in ("digest", "repr-digest"))


def check_range(response: Response, path: str, start: int, end: int | None) -> None:
    """Make sure that the answer holds the bytes that were asked for.

    Raises:
        UnsupportedError: When the server sends the whole file instead.
        EndedError: When the file ends before the end of the range.
        TransientError: When it sends other bytes.
    """
    if response.status != 206:
        raise UnsupportedError(f"the server ignores ranges of {path} (it answered {response.status})", path=path)
    told = response.headers.get("content-range", "")
    span = _SPAN.fullmatch(told)
    first, last, total = span.groups() if span else ("", "", "")
    size = number(total)
    if number(first) == start and size is not None and end is not None and size < end:
        raise EndedError(f"{path} ends after {size} bytes, {start}-{end} were asked for", path=path, size=size)
    right = number(first) == start and (end is None or number(last) == end - 1)
    if not right or (total != "*" and (number(total) or 0) <= (number(last) or 0)):
        raise TransientError(f"the server sent other bytes of {path} than {start}-{end}: {told[:40]!r}", path=path)


def check_all(response: Response, path: str) -> None:
    """Make sure that an answer to a request without a range does not hold a part of the file.

    Raises:
        TransientError: When it does.
    """
    if response.status != 206:
        return
    told = response.headers.get("content-range", "")
    span = _SPAN.fullmatch(told)
    first, last, total = span.groups() if span else ("", "", "")
    if number(first) != 0 or number(total) != (number(last) or 0) + 1:
        raise TransientError(f"the server sent a part of {path} instead of all of it: {told[:40]!r}", path=path)


def check_match(response: Response, path: str, if_match: str | None) -> None:
    """Make sure, as far as the answer tells, that it is of the file that was begun with: servers ignore If-Match.

    Raises:
        ChangedError: When it is of another.
    """
    etag = response.headers.get("etag")
    if if_match is not None and etag is not None and not same_tag(etag, if_match):
        raise changed(path)


class Version:
    """Which version of a file several requests read: that of the first answer, as far as answers tell.

    Args:
        path: The file.
        etag: The entity tag that it must have; None for whichever it has.
        size: The size that it must have; None for whichever it has.
        checksums: Those that it must have, as far as they are known.
    """

    def __init__(
        self,
        path: str,
        etag: str | None = None,
        *,
        size: int | None = None,
        checksums: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._path, self._etag, self._size, self._checksums = path, etag, size, dict(checksums)

    def check(self, head: ReadResult) -> None:
        """Make sure that an answer is of this version, by what it tells: dCache's pools tell no entity tag.

        Raises:
            ChangedError: When it is of another.
        """
        if self._etag is None:
            self._etag = head.etag
        if self._size is None:
            self._size = head.size
        known = self._checksums = {**head.checksums, **self._checksums}
        if (
            (head.etag is not None and self._etag is not None and not same_tag(head.etag, self._etag))
            or (head.size is not None and head.size != self._size)
            or any(known[name] != checksum for name, checksum in head.checksums.items())
        ):
            raise changed(self._path)


def same_tag(one: str, other: str) -> bool:
    """Tell whether two entity tags are of one version of a file, as answers and listings write them."""
    return _opaque(one) == _opaque(other)


def _opaque(etag: str) -> str:
    """Return what two tags of one file have in common: WsgiDAV writes them without quotes into a listing."""
    return etag.removeprefix("W/").strip('"')


def changed(path: str) -> ChangedError:
    """Return the error for a file that is not the one that was begun with."""
    return ChangedError(f"{path} has changed while it was downloaded", path=path, remedy="nothing was kept: try again")


def total_size(response: Response) -> int | None:
    """Return the size of the whole file, None when the answer does not tell."""
    if response.status == 206:
        total = response.headers.get("content-range", "").rpartition("/")[2]
    else:
        total = response.headers.get("content-length", "")
    return number(total)
