"""The sub-commands that look into files: `cat` and `head`. Bytes are printed as they are, never decoded."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ctadata_providers.cli import paths
from ctadata_providers.cli.commands import each, gather, open_client
from ctadata_providers.cli.output import Output
from ctadata_providers.errors import IsADirError, QuotaError, StorageError, UnsupportedError

if TYPE_CHECKING:
    from ctadata_providers import CtaClient, FileInfo

Write = Callable[[bytes], object]
FIRST_PIECE = 64 * 1024
LONGEST_PIECE = 8 * 1024 * 1024
"""Bytes that `head` asks for at first and at most, where nobody knows how long the lines are."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


def cat(args: argparse.Namespace, output: Output) -> int:
    """Print the bytes of files."""
    first, last = args.range

    def show(client: "CtaClient", info: "FileInfo", write: Write) -> None:
        start, end = first or 0, None if last is None else last + 1
        if first is None:
            start, end = _last(info, last), None
        client.stream(info.path, write, start=start, end=end, info=info)

    return _each_file(args, output, show)


def head(args: argparse.Namespace, output: Output) -> int:
    """Print the first lines or bytes of files."""

    def show(client: "CtaClient", info: "FileInfo", write: Write) -> None:
        if args.bytes is not None:
            client.stream(info.path, write, end=args.bytes, info=info)
        else:
            _first_lines(client, info, write, args.lines)

    return _each_file(args, output, show, headings=not output.quiet)


def _last(info: "FileInfo", count: int) -> int:
    """Return where the last bytes begin."""
    if info.size is None:
        raise UnsupportedError(
            f"the storage does not tell the size of {info.path}", path=info.path, remedy="name the first byte"
        )
    return max(0, info.size - count)


def _first_lines(client: "CtaClient", info: "FileInfo", write: Write, lines: int) -> None:
    """Print lines, asking for more until there are enough."""
    missing, start, piece = lines, 0, FIRST_PIECE
    etag: str | None = None

    def take(data: bytes) -> None:
        nonlocal missing
        found = 0
        while missing and found < len(data):
            end = data.find(b"\n", found) + 1
            missing -= end > 0
            found = end or len(data)
        write(data[:found])

    while missing:
        given = client.stream(info.path, take, start=start, end=start + piece, info=info, if_match=etag)
        if given.size < piece:
            return
        etag, start, piece = given.etag, start + piece, min(2 * piece, LONGEST_PIECE)


def _each_file(
    args: argparse.Namespace,
    output: Output,
    show: "Callable[[CtaClient, FileInfo, Write], None]",
    *,
    headings: bool = False,
) -> int:
    """Do something with every file that is named; with `headings` several have their names before them."""
    addresses = [paths.parse(text) for text in args.paths]
    write = _standard_output()
    separator = ""
    with open_client(args, addresses) as client:
        # A pattern is looked up whole before the first file is printed: whether there are several is to be known.
        found, code = gather(client, addresses, output)
        several = len(addresses) > 1 or any(info.path != addresses[0].path for info in found)

        def one(info: "FileInfo") -> None:
            nonlocal separator
            if info.is_dir:
                raise IsADirError(
                    f"{info.path} is a folder", path=info.path, remedy="look with 'ctadata list' what is in it"
                )
            if headings and several:
                write(f"{separator}==> {info.path} <==\n".encode())
                separator = "\n"
            show(client, info, write)

        return each(found, one, output) or code


def _standard_output() -> Write:
    """Return what prints bytes at once: they come in another thread, which may hold no lock of a buffer at the end."""
    sys.stdout.flush()
    try:
        fd = sys.stdout.fileno()
    except io.UnsupportedOperation:  # something that stands for it, as tests and notebooks have
        return sys.stdout.buffer.write

    def write(data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(fd, rest) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            kind = QuotaError if error.errno in _FULL else StorageError
            raise kind(f"cannot write to standard output: {error.strerror}") from error

    return write
