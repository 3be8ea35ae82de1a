"""Stretches of a file: what a Range header asks for, and how several are sent at once."""

import re
from collections.abc import Iterable


def parse_ranges(header: str | None, size: int) -> list[tuple[int, int]] | None:
    """Return the stretches (start, end) that a Range header asks for; None for the whole file.

    A header that is not understood counts as none (RFC 9110, 14.2); an empty list cannot be satisfied.

    >>> parse_ranges("bytes=0-0, 5-, -2", 10)
    [(0, 1), (5, 10), (8, 10)]
    >>> parse_ranges("bytes=10-", 10), parse_ranges("lines=1-2", 10)
    ([], None)
    """
    unit, equals, text = (header or "").partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return None
    ranges = []
    for item in text.split(","):
        found = re.fullmatch(r"\s*(\d{0,18})-(\d{0,18})\s*", item, re.ASCII)
        if not found or found.groups() == ("", ""):
            return None
        first, last = found.groups()
        start = int(first) if first else max(size - int(last), 0)
        end = min(int(last) + 1, size) if first and last else size
        if first and last and int(last) < int(first):
            return None
        if start < end:
            ranges.append((start, end))
    return ranges


def part_marks(ranges: Iterable[tuple[int, int]], size: int, boundary: str) -> list[bytes]:
    """Return what stands before each part of multipart/byteranges (RFC 9110, 14.6), and behind the last one."""
    marks = [f"\r\n--{boundary}\r\nContent-Range: bytes {start}-{end - 1}/{size}\r\n\r\n" for start, end in ranges]
    return [mark.encode() for mark in [*marks, f"\r\n--{boundary}--\r\n"]]
