"""Files and folders of the fake data centre, and what is known of them beside their bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Locality = Literal["ONLINE", "NEARLINE", "ONLINE_AND_NEARLINE", "UNAVAILABLE", "LOST", "NONE"]
"""Where a file is, in dCache's words: on disk, on tape, on both; its pool is down, it is gone, it is nowhere yet."""


@dataclass(slots=True)
class Notes:
    """What is known of one version of a file, or of a folder, beside its bytes.

    Attributes:
        deadline: Until when an upload to it counts as under way; None if there is none.
        checksums: Stored checksums (hexadecimal) by algorithm.
        locality: Where it is; None for where its bytes are, on disk.
        recall: Seconds that it takes to bring it from tape, None for more than anybody waits.
        xattrs: Extended attributes.
        uploaded: When its upload ended, on the monotonic clock; 0 if it was not uploaded.
    """

    deadline: float | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    locality: Locality | None = None
    recall: float | None = None
    xattrs: dict[str, str] = field(default_factory=dict)
    uploaded: float = 0.0


NOTHING_KNOWN = Notes()


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of the namespace.

    Attributes:
        path: The absolute path.
        is_dir: True for a folder.
        size: Bytes; None for a folder and while an upload is under way.
        mtime_ns: Time of the last change, nanoseconds.
        inode: With `mtime_ns` the identity of one version of a file.
    """

    path: str
    is_dir: bool
    size: int | None
    mtime_ns: int
    inode: int

    @property
    def name(self) -> str:
        """The last segment of the path."""
        return self.path.rpartition("/")[2]

    @property
    def id(self) -> str:
        """The identifier, in the form of a dCache pnfsid; another one after each overwrite."""
        return f"0000{self.inode & 0xFFFFFFFFFFFF:012X}{self.mtime_ns:020X}"

    @property
    def key(self) -> tuple[int, int]:
        """What tells one version of a file, or a folder, from all others."""
        return self.inode, 0 if self.is_dir else self.mtime_ns

    @property
    def etag(self) -> str:
        """The entity tag with its quotes (Milton: identifier and Java's hash of the time)."""
        milliseconds = self.mtime_ns // 1_000_000
        return f'"{self.id}_{(milliseconds ^ milliseconds >> 32) & 0x7FFFFFFF}"'
