"""What the storage answers to the downloadservice, with the faults that its bytes have."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack

from ctadata_providers.testing import pages
from ctadata_providers.testing.fault_bends import bend, hides_length
from ctadata_providers.testing.faults import Fault, Faults
from ctadata_providers.testing.services.peers import BrokenError
from ctadata_providers.testing.services.rewriting import Piece, Span, blocks

_GLANCE = 0.02


class Reply:
    """An answer of the storage; `close` it.

    Args:
        status: The HTTP status.
        headers: The headers without Content-Length.
        body: The body as it should be.
        faults: What strikes it on its way.
        pause: How the storage waits.

    Attributes:
        status: The HTTP status.
        headers: The headers without Content-Length.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: Piece = b"",
        *,
        faults: Sequence[Fault] = (),
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.status = status
        self.headers = dict(headers or {})
        self._body = body
        self._faults = faults
        self._pause = pause
        self._stack = ExitStack()
        if isinstance(body, Span):
            self._stack.callback(os.close, body.descriptor)

    def close(self) -> None:
        """Close its files."""
        self._stack.close()

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises:
            BrokenError: When it ends before its end.
        """
        length = None if hides_length(self._faults) else len(self._body)
        arrived = 0
        try:
            async for block in bend(blocks(self._body), self._faults, self._pause):
                taken = block if length is None else block[: length - arrived]
                arrived += len(taken)
                if taken:
                    yield taken
        except ConnectionResetError as error:
            raise BrokenError("connection reset") from error
        if length is not None and arrived < length:
            raise BrokenError(f"{length - arrived} bytes are missing")

    async def whole(self) -> Piece:
        """Return the body once all of it has arrived: the service waits for that. A large one is kept on disk.

        Raises:
            BrokenError: When it ends before its end.
        """
        if not self._faults:
            return self._body
        if isinstance(self._body, bytes):
            return b"".join([block async for block in self.blocks()])
        file = self._stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - closed by `close`
        size = 0
        async for block in self.blocks():
            size += file.write(block)
        return Span(file.fileno(), 0, size)


def error_reply(status: int, text: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an error of the storage as the page that it shows."""
    body, kind = pages.error_page(status, text, "text/html")
    return Reply(status, {"Content-Type": kind, **(headers or {})}, body.encode())


def pausing(faults: Faults, clock: Callable[[], float], struck: Sequence[Fault]) -> Callable[[float], Awaitable[None]]:
    """Return what waits as long as a fault is on, whether or not a client does."""

    async def pause(seconds: float) -> None:
        end = clock() + seconds
        while (left := end - clock()) > 0 and any(one in struck for one in faults):
            await asyncio.sleep(min(left, _GLANCE))

    return pause
