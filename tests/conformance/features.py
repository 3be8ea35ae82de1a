"""What users do with a server, in their words: a test of the suite is about one feature, a row of docs/servers.md."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

_Test = TypeVar("_Test", bound=Callable[..., None])


class Feature(Enum):
    """A row of the table for users; the order is that of the table."""

    TRANSFER = "Upload and download a file of any size, the empty one too"
    HUGE = "A file above 4 GiB: its size, and its last bytes alone"
    PARENTS = "Missing folders are made by an upload"
    REPLACE = "Replace a file as a whole"
    KEEP = "`overwrite=False` keeps what is there"
    RACE = "Of several uploads with `overwrite=False` at the same moment one wins"
    KINDS = "A folder in place of a file, and the reverse, is told and unharmed"
    MISSING = "What is missing is told"
    UPLOAD_CUT = "An interrupted upload leaves the old file, or none"
    UPLOAD_CUT_BLANK = "An interrupted upload to a name with a blank leaves the old file, or none"
    UPLOAD_KILLED = "A killed upload leaves the old file, or none; the next upload tidies up"
    DOWNLOAD_CUT = "An interrupted download leaves the old file, or none"
    RESUMED = "The next run goes on where a cut download stopped"
    STREAMS = "A large file in several streams"
    READ_WHILE_WRITTEN = "The old file can be read while its successor is uploaded"
    LOCAL = "Links, pipes and permissions of local files are respected"
    LISTING = "List a folder: names, kinds, sizes, times"
    MANY = "A folder of 10,000 entries is listed whole"
    HIDDEN = "Listings hide unfinished uploads and nothing else"
    WALK = "Walk a tree, find by pattern"
    FOLDERS = "Make a folder, with its parents only when asked"
    REMOVE = "Remove a file or an empty folder; a full one only when asked"
    MOVE = "Rename a file or a folder"
    MOVE_KEEPS = "A rename replaces a file only when asked, a folder never"
    COPY = "Copy files and trees to another place there"
    COPY_INSIDE = "The server copies by itself: the bytes do not pass here"
    TREES = "Upload and download trees"
    SYNC = "Sync trees, in both directions"
    VERIFY = "Verify trees"
    CLEAN = "Clean up what killed uploads left"
    THREADS = "One client in many threads"
    CHECKSUM_LISTED = "Listings tell checksums"
    ADLER32 = "The server tells adler32"
    MD5 = "The server tells md5"
    SHA256 = "The server tells sha-256"
    CHECKSUM = "`checksum`: any algorithm, read and computed if need be"
    REQUIRED = "Transfers with `checksum=require`"
    NAME_PLAIN = "Plain names, also long ones"
    NAME_BLANK = "Names with a blank"
    NAME_HASH = "Names with `#`"
    NAME_PERCENT = "Names with `%`, such as `p%41q`"
    NAME_PLUS = "Names with `+`"
    NAME_BRACKETS = "Names with `[x]`"
    NAME_QUOTE = "Names with `'`"
    NAME_PARAMETERS = "Names with `&`, `;` or `=`"
    NAME_UNICODE = "Names with `ü` or `日本`"
    NAME_QUESTION = "Names with `?`"
    NAME_DOT = "Names that begin with a dot"
    NAME_OTHER = "Names with other special characters"


FeatureOf = Feature | Mapping[str, Feature]


def feature(about: FeatureOf, *, of_servers: bool = False) -> Callable[[_Test], _Test]:
    """Say what a test is about: one feature, or one for each value of its parameter `name`.

    Args:
        about: It.
        of_servers: Whether only a server can show it: memory is of one process, has no wire, and holds no 5 GiB.
    """

    def mark(test: _Test) -> _Test:
        test.__dict__["feature"] = about
        test.__dict__["of_servers"] = of_servers
        return test

    return mark


def feature_of(test: Callable[..., None], params: Mapping[str, Any]) -> Feature:
    """Return what a test of the suite is about.

    Raises:
        KeyError: It does not say so.
    """
    about: FeatureOf = test.__dict__["feature"]
    return about if isinstance(about, Feature) else about[params["name"]]
