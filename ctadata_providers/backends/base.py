"""What a backend is: six operations, small; what is rich is built above it, once."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, runtime_checkable

from ctadata_providers.errors import IntegrityError, TransientError
from ctadata_providers.session.brief import Brief
from ctadata_providers.session.futures import Future
from ctadata_providers.session.request import Sink, Source
from ctadata_providers.uri import format_uri, split


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What a server tells about a file or folder.

    Attributes:
        path: Absolute path below the base path.
        is_dir: Whether it is a folder.
        size: Bytes; None for a folder, or when the server does not tell.
        modified: Time of the last change as the server wrote it (RFC 1123 or ISO 8601); see `mtime`.
        etag: Entity tag, if any.
        checksums: Hexadecimal checksums by algorithm, as far as the server told.
        locality: `ONLINE`, `NEARLINE`, `ONLINE_AND_NEARLINE`, `UNAVAILABLE`, `LOST` or `NONE` on dCache, else None.
        created: Time at which it was made, as the server wrote it; see `birthtime`. `stat` alone tells it, and when two
            are compared it does not count.
    """

    path: str
    is_dir: bool
    size: int | None = None
    modified: str | None = None
    etag: str | None = None
    checksums: Mapping[str, str] = field(default_factory=dict, hash=False)
    locality: str | None = None
    created: str | None = field(default=None, compare=False)

    def is_as(self, other: "FileInfo") -> bool:
        """Tell whether size, time and entity tag are the same, so that it has not changed as far as they tell."""
        return (self.size, self.modified, self.etag) == (other.size, other.modified, other.etag)

    @property
    def name(self) -> str:
        """The last element of the path."""
        return split(self.path)[1]

    @property
    def uri(self) -> str:
        """The canonical address (``cta://…``); that of a folder ends in a slash."""
        return format_uri(self.path, folder=self.is_dir)

    @property
    def mtime(self) -> float | None:
        """Time of the last change in epoch seconds, None when the server does not tell or cannot be understood."""
        return _epoch_seconds(self.modified)

    @property
    def birthtime(self) -> float | None:
        """Time at which it was made in epoch seconds, None when the server does not tell or cannot be understood.

        On Apache and WsgiDAV it is that of the last change of its data, name or rights (`st_ctime`).
        """
        return _epoch_seconds(self.created)


_USUAL_TIME = re.compile(r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _epoch_seconds(text: str | None) -> float | None:
    """Return a time as servers write it (RFC 1123 or ISO 8601), in UTC where they tell no zone."""
    if text is None:
        return None
    usual = _USUAL_TIME.fullmatch(text)
    try:
        if usual:  # one after the other, those of a large folder would take longer than to list it
            day, month, year, hour, minute, second = usual.groups()
            number = _MONTHS.index(month) + 1
            return datetime(int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=UTC).timestamp()
        return _utc(parsedate_to_datetime(text)).timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        return _utc(datetime.fromisoformat(text)).timestamp()
    except (ValueError, OverflowError):
        return None


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Backend(Protocol):
    """The six operations. Paths are absolute, checked, and below the base path.

    Every operation raises the errors of `ctadata_providers.errors` by meaning: `NotFoundError`, `IsADirError`,
    `NotADirError`, `PermissionDeniedError`, `CredentialError`, `QuotaError`, `UnsupportedError`, `TransientError`.
    What may be repeated safely has been, before a `TransientError` is raised, but in `read` and `write`, where only
    the caller can start again.
    """

    def stat(self, path: str) -> FileInfo:
        """Tell about one file or folder."""

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        """Give the entries of a folder as they arrive, in the server's order.

        Raises:
            NotADirError: When it is a file.
            TransientError: When the listing breaks after its first entry: what was given is not all.
        """

    def read(
        self, path: str, sink: Sink, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> "Future[ReadResult]":
        """Push the bytes from `start` up to but without `end` into a sink, which is called in another thread.

        Nothing but bytes of the file reaches the sink: no error page, no redirect. An `AnsweredSink` is told of the
        answer first, and may then also be given the whole file instead of the range.

        Raises:
            UnsupportedError: By the future, when the server ignores ranges.
            ChangedError: By the future, before a byte, when the entity tag is another than `if_match`.
        """

    def write(self, path: str, source: Source, *, size: int, overwrite: bool) -> "Future[WriteResult]":
        """Store `size` bytes of a source under a name; a failure may leave a part of them there.

        Raises:
            AlreadyExistsError: By the future, when the name exists, `overwrite` is false and the server can tell.
            NotFoundError: By the future, when a parent folder is missing and the server makes none.
        """

    def make_dir(self, path: str) -> None:
        """Make one folder.

        Raises:
            AlreadyExistsError: When the name exists and the server tells.
            NotFoundError: When the parent is missing and the server makes none.
        """

    def remove(self, path: str, *, is_file: bool = False) -> None:
        """Remove one file or empty folder; `is_file` says that the caller knows it to be a file.

        Raises:
            StorageError: When it is a folder that is not empty.
        """

    def close(self) -> None:
        """Close idle connections."""


@dataclass(frozen=True, slots=True)
class ReadResult:
    """How a read ended.

    Attributes:
        size: Size of the whole file, None when the server did not tell.
        etag: Entity tag, if any.
        checksums: Checksums of the whole file that came with this answer, asked for by it.
        encrypted: False when the bytes came over plain http.
        start: The first byte of the file that came.
    """

    size: int | None
    etag: str | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    encrypted: bool = True
    start: int = 0


class Enough(Exception):
    """Raised by a sink that has all it wants, to end the answer: no error."""


class AnsweredSink(Protocol):
    """A sink that decides by the head of an answer whether its bytes are wanted."""

    def answered(self, head: ReadResult) -> None:
        """Take note of what an answer tells before its first byte; what this raises ends it.

        A server that ignores the range sends the file from its first byte on: `head.start` tells.
        """

    def __call__(self, data: bytes, /) -> object:
        """Take the next bytes."""


class ChangedError(IntegrityError):
    """The file is not the one that was begun with."""


class EndedError(TransientError):
    """The file ends before the end of the range that was asked for.

    Args:
        message: What came back.
        path: The file.
        size: Its size.
    """

    def __init__(self, message: str = "", *, path: str | None = None, size: int = 0) -> None:
        super().__init__(message, path=path, remedy="ask for what is there")
        self.size = size


@dataclass(frozen=True, slots=True)
class WriteResult:
    """How a write ended.

    Attributes:
        checksums: Checksums that the server computed on what it stored, if it told.
    """

    checksums: Mapping[str, str] = field(default_factory=dict)


class BriefOperations(Protocol):
    """A short way for small files: nothing on it waits, so that most of their cost is the network's.

    Every operation gives None when the way is not open now. Any error of its future but `CancelledError` means that the
    operation of `Backend` is to be asked, after a `TransientError` no sooner than its retry may come. To be called in
    the curl loop's thread.
    """

    def read(self, path: str, brief: Brief | None = None) -> "Future[Any] | None":
        """Begin to read a file whole; the future ends with its bytes, or with what the given one makes of them."""

    def can_store(self, path: str) -> bool:
        """Tell whether a file can be stored and renamed to this path."""

    def write(self, path: str, content: bytes) -> "Future[Any] | None":
        """Begin to store a file whole."""

    def size(self, path: str) -> "Future[int | None] | None":
        """Begin to ask for the size of a file; None is what a server does not tell."""

    def rename(self, source: str, target: str) -> "Future[Any] | None":
        """Begin to rename a file to a name that is free."""


@runtime_checkable
class BriefBackend(Protocol):
    """A backend that has a short way for small files."""

    @property
    def brief(self) -> BriefOperations:
        """The operations on it."""


@runtime_checkable
class RenameBackend(Protocol):
    """A backend that can rename within its server."""

    def can_rename(self, path: str) -> bool:
        """Tell whether this server, with this credential, may rename something to this path."""

    def rename(self, source: str, target: str, *, overwrite: bool, is_dir: bool = False) -> None:
        """Rename a file or folder; with `overwrite` the caller has made sure that the target is no folder.

        Raises:
            AlreadyExistsError: When the target exists, `overwrite` is false and the server can tell.
        """


@runtime_checkable
class ChecksumBackend(Protocol):
    """A backend whose server computes or keeps checksums."""

    def checksum(self, path: str, algorithm: str) -> Mapping[str, str]:
        """Ask for a checksum; the answer may hold another algorithm, or nothing when the server offers none."""


@runtime_checkable
class EarlyChecksumBackend(Protocol):
    """A backend whose server may be asked for a checksum while the file is read."""

    def early_checksum(self, path: str, algorithm: str) -> Mapping[str, str] | None:
        """Ask as `checksum` does; None where that has to wait for the end of the bytes, or had no answer."""


@runtime_checkable
class CopyBackend(Protocol):
    """A backend whose server can copy a file by itself."""

    def copy(self, source: str, target: str, *, overwrite: bool) -> "Future[None]":
        """Copy a file inside the server; a failure may leave a part of it there.

        Raises:
            UnsupportedError: At once or by the future, when the server does not.
            AlreadyExistsError: By the future, when the target exists, `overwrite` is false and the server can tell.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherSide:
    """A file that another server is to read or write.

    Attributes:
        url: Where it is.
        authorization: What opens it, the value of a header; None when nothing is needed. Secret.
        may_see: Tells whether whoever answers at a URL may be given that.
    """

    url: str
    authorization: str | None = field(repr=False)
    may_see: Callable[[str], bool]


@runtime_checkable
class ThirdPartyBackend(Protocol):
    """A backend whose server can copy from and to another one, without the bytes passing here."""

    def may_copy_with(self, url: str) -> bool:
        """Tell whether the settings allow that with the server of a URL; may ask what this server is."""

    def as_other_side(self, path: str) -> OtherSide:
        """Return what another server needs to read or write a file here; may wait for a token.

        Raises:
            UnsupportedError: When what opens this server cannot be handed on.
            CredentialError: When there is nothing that opens it.
        """

    def pull(self, path: str, other: OtherSide, *, overwrite: bool, marked: Callable[[int], object]) -> "Future[None]":
        """Have this server fetch a file; `marked` is called with all bytes so far, in another thread.

        A failure, and a cancellation of the future, may leave a part of the file there.

        Raises:
            UnsupportedError: At once or by the future, when it does not, or cannot reach the other server.
        """

    def push(self, path: str, other: OtherSide, *, overwrite: bool, marked: Callable[[int], object]) -> "Future[None]":
        """Have this server send a file; else as `pull`."""


@runtime_checkable
class UrlBackend(Protocol):
    """A backend whose files other programs can read under a URL."""

    def url(self, path: str) -> str:
        """Return the URL of a path, without a credential in it."""


@runtime_checkable
class ClockBackend(Protocol):
    """A backend whose server tells the time."""

    def clock_ahead(self) -> float | None:
        """Tell how many seconds the server's clock was ahead of ours at its last answer; None when it never told."""


@runtime_checkable
class HomeBackend(Protocol):
    """A backend whose server knows who the user is."""

    def home(self) -> str:
        """Return the path of the user's own folder; may ask the network.

        Raises:
            CredentialError: When there is nothing that tells who the user is, or it is refused.
        """


@dataclass(frozen=True, slots=True)
class SpansResult:
    """Several ranges of a file that have come.

    Attributes:
        contents: The bytes of each.
        head: What the answer tells of the file.
    """

    contents: list[bytes]
    head: ReadResult


class SpanOperations(Protocol):
    """Several ranges of a file with one answer; a range is the first byte, and the one behind the last."""

    @property
    def offered(self) -> bool:
        """Whether the server does that, as far as its answers have told."""

    def read(
        self, path: str, spans: Sequence[tuple[int, int]], *, if_match: str | None = None
    ) -> "Future[SpansResult]":
        """Read ranges that are in order, not empty, and apart from each other.

        Raises:
            UnsupportedError: By the future, when the server does not send several at once.
            ChangedError: By the future, when the entity tag is another than `if_match`.
        """


@runtime_checkable
class SpansBackend(Protocol):
    """A backend whose server may send several ranges of a file at once."""

    @property
    def spans(self) -> SpanOperations:
        """The operations on them."""
