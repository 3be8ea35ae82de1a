"""What the downloadservice does to every body that it passes on: addresses of the storage become its own."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ctadata_providers.testing.pool import file_blocks

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of an open file.

    Attributes:
        descriptor: The file.
        start: Where it begins.
        end: Where it ends.
    """

    descriptor: int
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


Piece = bytes | Span


async def replaced(body: Piece, old: bytes, new: bytes) -> list[Piece]:
    """Return a body with other words in it, in pieces."""
    if isinstance(body, bytes):
        return [body.replace(old, new)]
    pieces: list[Piece] = []
    start = body.start
    for place in await asyncio.to_thread(_places, body, old):
        pieces += [Span(body.descriptor, start, place), new]
        start = place + len(old)
    return [*pieces, Span(body.descriptor, start, body.end)]


async def blocks(*pieces: Piece) -> AsyncIterator[bytes]:
    """Yield the bytes of some pieces."""
    for piece in pieces:
        if isinstance(piece, bytes):
            if piece:
                yield piece
        else:
            async for block in file_blocks(piece.descriptor, (piece.start, piece.end)):
                yield block


def _places(span: Span, word: bytes) -> list[int]:
    """Return where a word stands in a file."""
    found = []
    kept, position = b"", span.start
    while position < span.end:
        block = os.pread(span.descriptor, min(_BLOCK, span.end - position), position)
        if not block:
            break
        text, first = kept + block, position - len(kept)
        place = text.find(word)
        while place >= 0:
            found.append(first + place)
            place = text.find(word, place + len(word))
        position += len(block)
        # A word may begin in one block and end in the next, but not twice.
        kept = text[max(len(text) - len(word) + 1, (found[-1] + len(word) - first) if found else 0, 0) :]
    return found
