"""The sub-commands that look at, remove, move and make remote files and folders; each parses, calls and prints."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ctadata_providers import uri
from ctadata_providers.cli import paths
from ctadata_providers.cli.options import settings_of
from ctadata_providers.cli.output import Output, describe, utc
from ctadata_providers.errors import CtaError
from ctadata_providers.transfer import ends_all

if TYPE_CHECKING:
    from ctadata_providers import CtaClient, FileInfo

Item = TypeVar("Item")


def open_client(args: argparse.Namespace, addresses: Iterable[uri.Address]) -> "CtaClient":
    """Return a client with the settings of the command line, for the profile that the addresses choose.

    Raises:
        ConfigError: When a setting cannot be used, or the addresses name several profiles.
    """
    # Not before the arguments are known to be good: help and usage errors come at once.
    from ctadata_providers import CtaClient
    from ctadata_providers.config import config_for

    settings = settings_of(args)
    return CtaClient(config_for(paths.profile_of(addresses, settings["profile"]), **settings))


def each(items: Iterable[Item], act: Callable[[Item], None], output: Output, *, stop: bool = False) -> int:
    """Do something with every item, going on past those that fail, as `cp` does.

    Args:
        items: What there is to do.
        act: How it is done.
        output: Where errors are told.
        stop: Do not go on.

    Returns:
        1 when an item failed (its error is printed), else 0.

    Raises:
        CtaError: What no other item would survive either: a wrong setting, a refused credential, no space; with
            `stop` the first error.
        BrokenPipeError: When nobody reads stdout any more.
    """
    code = 0
    for item in items:
        try:
            act(item)
        except BrokenPipeError:
            raise
        except OSError as error:
            if stop or ends_all(error):
                raise
            output.error(error)
            code = 1
    return code


def gather(
    client: "CtaClient",
    addresses: Iterable[uri.Address],
    output: Output,
    *,
    recursive: bool = False,
    stop: bool = False,
) -> "tuple[list[FileInfo], int]":
    """Return what paths and patterns name, and 1 when one of them names nothing, else 0."""
    found: list[FileInfo] = []
    code = each(addresses, lambda address: found.extend(paths.expand(client, address)), output, stop=stop)
    return (list(paths.topmost(found)) if recursive else found), code


def list_(args: argparse.Namespace, output: Output) -> int:
    """Print what is in folders, or matches patterns."""
    addresses = [paths.parse(text) for text in args.paths]
    # Names are short where one folder is listed; else they tell where they are.
    base = addresses[0].path.rstrip("/") + "/" if len(addresses) == 1 else None
    unlisted: list[str] = []
    with open_client(args, addresses) as client:

        def tell(folder: str, error: CtaError) -> None:
            if ends_all(error):
                raise error
            output.error(error)
            unlisted.append(folder)

        walk = partial(client.walk, include=args.include, exclude=args.exclude, on_error=tell)

        def show(address: uri.Address) -> None:
            for info in _listing(client, address, walk if args.recursive else None):
                name = (info.path.removeprefix(base) if base else info.path) + ("/" if info.is_dir else "")
                output.record(describe(info), f"{_columns(info)} {name}" if args.long else name)

        return each(addresses, show, output) or bool(unlisted)


def _listing(
    client: "CtaClient", address: uri.Address, walk: "Callable[[str], Iterator[FileInfo]] | None"
) -> "Iterator[FileInfo]":
    """Find what a listing shows: what is in a folder named as it is, itself where a file or a pattern is given."""
    tops = paths.expand(client, address)
    for top in paths.topmost(tops) if walk else tops:
        named = top.path == address.path
        if not (named and top.is_dir):
            yield top
        if top.is_dir and walk:
            yield from walk(top.path)
        elif top.is_dir and named:
            yield from client.list_dir(top.path)


def _columns(info: "FileInfo") -> str:
    size = "-" if info.size is None or info.is_dir else str(info.size)
    return f"{'d' if info.is_dir else '-'} {size:>14} {utc(info.mtime) or '-':20}"


def stat(args: argparse.Namespace, output: Output) -> int:
    """Print all that is known of files and folders, a blank line between two."""
    addresses = [paths.parse(text) for text in args.paths]
    separator: list[str] = []
    with open_client(args, addresses) as client:

        def show(address: uri.Address) -> None:
            for info in paths.expand(client, address):
                output.record(describe(info), *separator, *_fields(info))
                separator[:] = [""]

        return each(addresses, show, output)


def _fields(info: "FileInfo") -> list[str]:
    known = {**describe(info), "checksums": ", ".join(f"{name} {value}" for name, value in info.checksums.items())}
    return [f"{name + ':':12}{'-' if value in (None, '') else value}" for name, value in known.items()]


def rm(args: argparse.Namespace, output: Output) -> int:
    """Remove files and folders."""
    addresses = [paths.parse(text) for text in args.paths]
    with open_client(args, addresses) as client:
        # All is found before the first is gone: a listing of what is being removed would be neither old nor new.
        found, code = gather(client, addresses, output, recursive=args.recursive)

        def remove(info: "FileInfo") -> None:
            client.remove(info.path, recursive=args.recursive)
            output.done("removed", info.path)

        return each(found, remove, output) or code


def mv(args: argparse.Namespace, output: Output) -> int:
    """Rename or move a file or folder."""
    source, target = paths.parse(args.source), paths.parse(args.target)
    with open_client(args, [source, target]) as client:
        folder = paths.remote_folder(client, target, several=False)
        path = uri.join(folder, uri.split(source.path)[1]) if folder else target.path
        client.move(source.uri, path, overwrite=args.overwrite)
        output.done("moved", path)
    return 0


def mkdir(args: argparse.Namespace, output: Output) -> int:
    """Make folders."""
    addresses = [paths.parse(text) for text in args.paths]
    with open_client(args, addresses) as client:

        def make(address: uri.Address) -> None:
            client.make_dir(address.path, parents=args.parents, exist_ok=args.parents)
            output.done("made", address.path)

        return each(addresses, make, output)
