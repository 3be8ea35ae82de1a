"""What of a file is asked for, and the right answer to it."""

import re
from typing import TYPE_CHECKING
from zlib import adler32

if TYPE_CHECKING:
    from tests.faults.scripted import Exchange


def etag(data: bytes) -> str:
    return f'"{adler32(data):08x}-{len(data)}"'


def found(exchange: "Exchange") -> tuple[int, list[str], bytes]:
    """Return status, headers and body of the right answer to a GET of a file that exists."""
    data, asked = exchange.door.files[exchange.asked.path], exchange.asked.headers
    if not exchange.door.ranges:
        return 200, [], data
    headers = [f"ETag: {etag(data)}", "Accept-Ranges: bytes"]
    if asked.get("if-match", etag(data)) not in ("*", etag(data)):
        return 412, headers, b""
    span = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.get("range", ""))
    if span is None or asked.get("if-range", etag(data)) != etag(data):
        return 200, headers, data
    first, last = int(span[1]), min(int(span[2] or len(data) - 1), len(data) - 1)
    if first > last:
        return 416, [*headers, f"Content-Range: bytes */{len(data)}"], b""
    return 206, [*headers, f"Content-Range: bytes {first}-{last}/{len(data)}"], data[first : last + 1]
