"""What the command line prints: records on stdout, messages and errors on stderr, never a raw control character."""

import json
import sys
import traceback
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from ctadata_providers.errors import CtaError

if TYPE_CHECKING:
    from ctadata_providers import FileInfo

# Terminal commands, bidirectional overrides, undecodable bytes and line ends: a file name may hold them all.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, kw_only=True)
class Output:
    """How to print.

    Attributes:
        as_json: One JSON object a line, on stdout and for errors on stderr.
        quiet: Print no progress bar and no summary.
        verbose: How much to tell of what is done.
        debug: Print the trace of an error.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: int = 0
    debug: bool = False

    @property
    def bars(self) -> bool:
        """True where a progress bar helps: a terminal on which nothing else is written."""
        return not (self.as_json or self.quiet or self.verbose) and sys.stderr.isatty()

    def record(self, data: Mapping[str, Any], *lines: str) -> None:
        """Print a result on stdout: the data as one line of JSON, or lines for people."""
        if self.as_json:
            _write(sys.stdout, json.dumps(data))
        for line in () if self.as_json else lines:
            _write(sys.stdout, safe(line, sys.stdout.encoding))

    def done(self, verb: str, path: str, **details: Any) -> None:
        """Tell that something was done to a remote path: with `--json` on stdout, with `-v` on stderr."""
        if self.as_json:
            self.record({"done": verb, "path": path, **details})
        elif self.verbose:
            self.say(f"{verb} {path}")

    def summary(self, line: str, **figures: Any) -> None:
        """Print what all came to: with `--json` as the last record, else for people."""
        if self.as_json:
            self.record({"summary": figures})
        else:
            self.say(line)

    def say(self, message: str) -> None:
        """Print a message for people on stderr, unless quiet or as JSON."""
        if not (self.quiet or self.as_json):
            _write(sys.stderr, safe(message, sys.stderr.encoding))

    def error(self, error: BaseException) -> None:
        """Print an error as one line on stderr, with `--debug` after its trace."""
        if self.debug:
            traceback.print_exception(error)
        message, path, remedy = _explain(error)
        if self.as_json:
            data = {"error": type(error).__name__, "message": message, "path": path, "remedy": remedy}
            _write(sys.stderr, json.dumps(data))
        else:
            line = f"ctadata: {message}; {remedy}" if remedy else f"ctadata: {message}"
            _write(sys.stderr, safe(line, sys.stderr.encoding))


def _write(stream: TextIO, line: str) -> None:
    """Write a line at once: `print` writes its end apart, and a line of another thread's log may come between."""
    stream.write(f"{line}\n")


def safe(text: str, encoding: str | None = "utf-8") -> str:
    r"""Return a text in which nothing can act on a terminal, break a line or fail to be encoded.

    >>> print(safe("a\x1b[31m\nb"))
    a\x1b[31m\nb
    """
    shown = "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in _UNSAFE else c for c in text)
    name = encoding or "utf-8"
    return shown.encode(name, "backslashreplace").decode(name)


def describe(info: "FileInfo") -> dict[str, Any]:
    """Return all that is known of a file or folder, as JSON can hold it."""
    return {
        "path": info.path,
        "uri": info.uri,
        "type": "folder" if info.is_dir else "file",
        "size": info.size,
        "mtime": utc(info.mtime),
        "etag": info.etag,
        "checksums": dict(info.checksums),
        "locality": info.locality,
    }


def utc(seconds: float | None) -> str | None:
    """Return a time as ISO 8601 in UTC, to the second; None for one beyond the calendar.

    >>> utc(0.5)
    '1970-01-01T00:00:00Z'
    """
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # a server may tell any year
        return None


def count(number: int, what: str) -> str:
    """Return a number of things.

    >>> count(1, "file"), count(0, "file")
    ('1 file', '0 files')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def amount(size: float) -> str:
    """Return a number of bytes in the unit that suits it.

    >>> amount(999), amount(1_500_000)
    ('999 B', '1.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _explain(error: BaseException) -> tuple[str, str | None, str | None]:
    """Return message, path and remedy of an error."""
    if isinstance(error, CtaError):
        return error.message, error.path, error.remedy
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "interrupted", None, "; ".join(getattr(error, "__notes__", ())) or None
    if isinstance(error, OSError) and error.strerror:
        path = None if error.filename is None else str(error.filename)
        return (f"{path}: {error.strerror}" if path else error.strerror), path, None
    if isinstance(error, OSError | ImportError):
        return str(error), None, None
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "no more threads are allowed to this user", None, "end other programs, or raise the limit (ulimit -u)"
    name = type(error).__name__
    return f"unexpected {name}: {error}", None, "this is a fault of ctadata: please report it with what --debug shows"
