"""What faults do to the bytes of a body on its way, up or down."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from ctadata_providers.testing.fault_kinds import FaultName
from ctadata_providers.testing.faults import Fault

Pause = Callable[[float], Awaitable[None]]
"""Waits, as long as the client does."""

Bend = Callable[[AsyncIterator[bytes], Fault, Pause], AsyncIterator[bytes]]

_TICK = 0.05


def struck(faults: Sequence[Fault], length: int | None) -> list[Fault]:
    """Return the faults that strike a body of some length, None for an unknown one."""
    return [fault for fault in faults if fault.name in _BENDS and _reaches(fault, length) and _strikes(fault)]


def hides_length(faults: Sequence[Fault]) -> bool:
    """Tell whether Content-Length is to be left out."""
    return any(not fault.options.announced for fault in faults)


def bend(blocks: AsyncIterator[bytes], faults: Sequence[Fault], pause: Pause) -> AsyncIterator[bytes]:
    """Return a body as faults bend it, each what the one before made of it."""
    for fault in faults:
        blocks = _BENDS[fault.name](blocks, fault, pause)
    return blocks


def _reaches(fault: Fault, length: int | None) -> bool:
    """Tell whether a body is long enough for a fault; one that strikes before an answer has done so already."""
    if fault.name == "longer-body":
        return True
    if fault.name in ("reset", "stall") and not fault.options.after:
        return False
    return length is None or length > fault.options.after


def _strikes(fault: Fault) -> bool:
    # This one has struck when the upload began.
    return fault.name == "corrupt-upload-stays" or fault.strike()


async def _reset(blocks: AsyncIterator[bytes], fault: Fault, pause: Pause) -> AsyncIterator[bytes]:
    async for block in _first(blocks, fault.options.after):
        yield block
    raise ConnectionResetError


async def _stall(blocks: AsyncIterator[bytes], fault: Fault, pause: Pause) -> AsyncIterator[bytes]:
    left = fault.options.after
    async for block in blocks:
        if 0 <= left < len(block):
            yield block[:left]
            await pause(fault.options.seconds)
            yield block[left:]
        else:
            yield block
        left -= len(block)


async def _slow(blocks: AsyncIterator[bytes], fault: Fault, pause: Pause) -> AsyncIterator[bytes]:
    step = max(1, int(fault.options.rate * _TICK))
    async for block in blocks:
        for start in range(0, len(block), step):
            await pause(_TICK)
            yield block[start : start + step]


async def _truncate(blocks: AsyncIterator[bytes], fault: Fault, pause: Pause) -> AsyncIterator[bytes]:
    async for block in _first(blocks, fault.options.after):
        yield block


async def _lengthen(blocks: AsyncIterator[bytes], fault: Fault, pause: Pause) -> AsyncIterator[bytes]:
    async for block in blocks:
        yield block
    yield bytes(fault.options.by)


async def _corrupt(blocks: AsyncIterator[bytes], fault: Fault, pause: Pause) -> AsyncIterator[bytes]:
    left = fault.options.after
    async for block in blocks:
        if 0 <= left < len(block):
            yield block[:left] + bytes([block[left] ^ 1]) + block[left + 1 :]
        else:
            yield block
        left -= len(block)


async def _first(blocks: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    """Yield the first bytes of a body."""
    if not count:
        return
    async for block in blocks:
        yield block[:count]
        count -= len(block)
        if count <= 0:
            return
        await asyncio.sleep(0)


_BENDS: dict[FaultName, Bend] = {
    "reset": _reset,
    "stall": _stall,
    "slow": _slow,
    "truncate": _truncate,
    "broken-listing": _truncate,
    "longer-body": _lengthen,
    "corrupt": _corrupt,
    "corrupt-upload-stays": _corrupt,
}
