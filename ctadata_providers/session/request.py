"""What an exchange asks for, the same for both stacks."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from ctadata_providers.session.status import Response

Sink = Callable[[bytes], object]
"""Takes the next bytes of a body; what it raises ends the exchange and reaches the caller."""


class RoomySink(Protocol):
    """A sink that need not block the thread of all transfers when it cannot take more."""

    def room(self) -> Future[Any] | None:
        """Return what is done once there is room for more, None when there is now; asked before each piece."""

    def __call__(self, data: bytes, /) -> object:
        """Take the next bytes."""


def room_of(sink: Sink) -> Callable[[], Future[Any] | None]:
    """Return how a sink is asked for room; one that cannot be asked always has some."""
    room: Callable[[], Future[Any] | None] = getattr(sink, "room", always_room)
    return room


def always_room() -> None:
    """Tell of no wait."""


SMALL_BYTES = 256 * 1024
"""Bytes up to which a file is small: it is held in memory whole."""


class Source(Protocol):
    """Gives the bytes of an upload, again from the start when asked to."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, empty at the end."""

    def rewind(self) -> None:
        """Go back to the first byte: a redirect or retry sends all of it again."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """What stands between us and a server, if anything.

    Attributes:
        url: Where it is, empty for none; may hold a user's password.
    """

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, whatever redirects it takes.

    Attributes:
        method: HTTP or WebDAV method.
        url: Where it goes first.
        path: The path, for messages to the user.
        act: What it does, for messages to the user.
        headers: Headers for every hop; never a credential.
        guest: Headers that hold the credential of another side; kept from all hops but the first, and from messages to
            the user, where `guest_may_see` does not allow them.
        guest_may_see: Tells whether a URL may get them.
        body: The body of a message.
        accept: Called with the head of a successful download before its first byte; returns the sink.
        source: The bytes of an upload.
        size: Bytes in `source`.
        expect: Send `Expect: 100-continue` with an upload.
        expect_wait: Seconds to wait for the answer to it before the body is sent all the same.
        timeout: Seconds to wait for the answer to a message; None is the setting `timeout`.
        retried: Whether a message may be repeated safely after a transient fault.
    """

    method: str
    url: str = field(repr=False)
    path: str
    act: str
    headers: Mapping[str, str] = field(default_factory=dict)
    guest: Mapping[str, str] = field(default_factory=dict, repr=False)
    guest_may_see: Callable[[str], bool] = lambda url: False
    body: bytes | None = field(default=None, repr=False)
    accept: Callable[[Response], Sink] | None = None
    source: Source | None = None
    size: int = 0
    expect: bool = False
    expect_wait: float = 5.0
    timeout: float | None = None
    retried: bool = True

    @property
    def is_unasked(self) -> bool:
        """Whether it is an upload that does not ask first."""
        return self.size > 0 and not self.expect

    @property
    def is_plain(self) -> bool:
        """Whether it is the download or upload of a small or unknown file's bytes, as there are many."""
        return self.method == "GET" or (self.method == "PUT" and self.size <= SMALL_BYTES)


def guest_secrets(request: Request) -> tuple[str, ...]:
    """Return what of a request's guest headers nobody is to see: a server may repeat it."""
    return tuple(value.rpartition(" ")[2] for value in request.guest.values())
