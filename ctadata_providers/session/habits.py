"""What this process has seen of servers: libcurl keeps their connections for all sessions."""

import time

Place = tuple[str, str, int]

_broken: dict[Place, float] = {}
_redirecting: set[Place] = set()
_silent: set[Place] = set()


def broke(place: Place, *, unasked: bool = False) -> None:
    """Take note that a connection broke, or is not to be used again.

    Args:
        place: The server.
        unasked: Whether an upload that had not asked first has no answer.
    """
    _broken[place] = time.monotonic()
    if unasked:
        _silent.add(place)


def redirected(place: Place) -> None:
    """Take note of a redirected upload that had not asked first: XRootD may leave its body unread on the connection."""
    _redirecting.add(place)
    broke(place)


def answered(place: Place) -> None:
    """Take note that an upload was taken."""
    _silent.discard(place)


def broken_at(place: Place) -> float | None:
    """Return when a connection broke last, by the monotonic clock; None for never."""
    return _broken.get(place)


def wants_to_be_asked(place: Place) -> bool:
    """Tell whether an upload should ask first: one was redirected, or the last had no answer."""
    return place in _redirecting or place in _silent


def forget() -> None:
    """Know nothing of any server."""
    _broken.clear()
    _redirecting.clear()
    _silent.clear()
