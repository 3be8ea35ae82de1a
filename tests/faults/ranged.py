"""A server that serves ranges, as all but the simplest do, and can be broken at any byte."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.scripted import Act, Asked, Door, Exchange

PIECE = 1 << 16


def ranged(
    *,
    etag: str | None = None,
    stop: Callable[[int], bool] | None = None,
    then: Act | None = None,
    pause: float = 0.0,
    told: Callable[[int, int, int], str] = lambda start, end, size: f"bytes {start}-{end - 1}/{size}",
) -> Act:
    """Serve the file or a range of it.

    Args:
        etag: Entity tag to send.
        stop: Told how many bytes of this answer have been sent; true ends it there.
        then: What happens then; by default the connection ends in good order, so that all that was sent arrives.
        pause: Seconds between pieces of 64 KiB.
        told: The Content-Range for a start, an end and a size.
    """

    def act(exchange: Exchange) -> None:
        data = exchange.door.files[exchange.asked.path]
        span = span_of(exchange.asked, len(data))
        start, end = span or (0, len(data))
        headers = [f"Content-Length: {end - start}", *([f"ETag: {etag}"] if etag else [])]
        if span:
            headers.append(f"Content-Range: {told(start, end, len(data))}")
        exchange.head(206 if span else 200, *headers)
        for at in range(start, end, PIECE):
            if stop is not None and stop(at - start):
                (then or Exchange.end)(exchange)
            exchange.send(data[at : min(at + PIECE, end)])
            if pause:
                time.sleep(pause)  # the speed of the line is what is tested

    return act


def span_of(asked: Asked, size: int) -> tuple[int, int] | None:
    """Return the start and the end of the range that is asked for, None for the whole file."""
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.headers.get("range", ""))
    return (int(found[1]), int(found[2]) + 1 if found[2] else size) if found else None


def asked_bytes(door: Door, path: str) -> list[tuple[int, int] | None]:
    """Return the ranges that were asked for, None for the whole file."""
    return [span_of(asked, len(door.files[path])) for asked in door.requests("GET")]


def left_in(folder: Path) -> list[str]:
    """Return the names of parts and sidecars in a folder."""
    return sorted(place.name for place in folder.iterdir() if place.name.endswith(".ctapart"))


def cut(count: int) -> Callable[[int], bool]:
    """Return what stops an answer after so many bytes."""
    return lambda sent: sent >= count
