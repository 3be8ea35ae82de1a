"""Performance markers: what a door tells while it copies a file to or from another one.

The answer to a third-party COPY is a text in blocks, one every few seconds, and a last line that says how it ended:

    Perf Marker
        Timestamp: 1357013221
        Stripe Index: 0
        Stripe Bytes Transferred: 238745
        Total Stripe Count: 1
    End
    success: Created

dCache indents the lines of a block and has other keys beside; before its transfer begins there is no count of bytes.
"""

import re

from ctadata_providers.errors import UnsupportedError

LONGEST_LINE = 4096
SILENT_BYTES = 64 * 1024
"""Bytes without the end of a marker after which this is taken for something else: an HTML page, a listing."""
_FIELD = re.compile(r"\s*(stripe index|stripe bytes transferred)\s*:\s*([0-9]{1,19})\s*", re.IGNORECASE)
_LAST = re.compile(r"(success|failure)\s*:?\s*(.*)", re.IGNORECASE | re.DOTALL)
_MOST_STRIPES = 1024


class Markers:
    """The markers of one copy, fed with the body of the answer as it arrives, in pieces of any size.

    Attributes:
        transferred: Bytes that have been transferred, over all stripes, as far as it was told.
    """

    def __init__(self) -> None:
        self.transferred = 0
        self._stripes: dict[int, int] = {}
        self._begun = bytearray()
        self._unmarked = 0
        self._stripe = 0
        self._count: int | None = None
        self._last = ""

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            UnsupportedError: When these are no markers.
        """
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._take(bytes(self._begun + line))
            self._begun.clear()
        self._begun += rest
        self._check_length(self._begun)
        if self._unmarked + len(self._begun) > SILENT_BYTES:
            raise _no_markers()

    def verdict(self) -> tuple[bool, str] | None:
        """Return whether the copy succeeded, and what was said about it; None when the last line does not tell.

        To be asked when the answer has ended in good order: a verdict that was cut off is none.
        """
        last = _text(self._begun) or self._last
        found = _LAST.fullmatch(last)
        return None if found is None else (found[1].lower() == "success", found[2].strip())

    def _take(self, line: bytes) -> None:
        self._check_length(line)
        self._unmarked += len(line) + 1
        text = _text(line)
        if not text:
            return
        self._last = text
        found = _FIELD.fullmatch(text)
        if found is None:
            if text.lower() == "end":
                self._end()
        elif found[1].lower() == "stripe index":
            self._stripe = int(found[2])
        else:
            self._count = int(found[2])

    def _end(self) -> None:
        """Sum up at the end of a marker."""
        self._unmarked = 0
        if self._count is not None and (self._stripe in self._stripes or len(self._stripes) < _MOST_STRIPES):
            self._stripes[self._stripe] = self._count
            self.transferred = sum(self._stripes.values())
        self._stripe, self._count = 0, None

    def _check_length(self, line: bytes | bytearray) -> None:
        if len(line) > LONGEST_LINE:
            raise _no_markers()


def _text(line: bytes | bytearray) -> str:
    return line.decode("utf-8", "replace").strip(" \t\r\n\0")


def _no_markers() -> UnsupportedError:
    return UnsupportedError("the door answers the copy with something else than performance markers")
