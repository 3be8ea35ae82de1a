"""The sub-commands that look at whole trees: `tree` and `du`."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ctadata_providers import uri
from ctadata_providers.cli import paths
from ctadata_providers.cli.commands import each, open_client
from ctadata_providers.cli.output import Output, amount, count, describe
from ctadata_providers.errors import CtaError
from ctadata_providers.transfer import Nested, Usage, ends_all

if TYPE_CHECKING:
    from ctadata_providers import CtaClient, FileInfo

_LINES = {False: ("├── ", "│   "), True: ("└── ", "    ")}
_ASCII = {False: ("|-- ", "|   "), True: ("`-- ", "    ")}
"""What stands before a name and before what is below it, by whether it is the last of its folder."""


def tree(args: argparse.Namespace, output: Output) -> int:
    """Draw folders with what is below them, and count it."""
    counted = {"folders": 0, "files": 0, "size": 0}
    lines = _LINES if _can_print("├└│─") else _ASCII

    def draw(client: "CtaClient", top: "FileInfo", tell: Callable[[str, CtaError], None]) -> None:
        output.record({**describe(top), "depth": 0}, _name(top, top.path, sized=args.size and not top.is_dir))
        if not top.is_dir:
            _count(counted, top)
            return
        given = client.tree(top.path, depth=args.depth, exclude=args.exclude, only_folders=args.folders, on_error=tell)
        for item in given:
            _count(counted, item.info)
            name = _name(item.info, item.info.name, sized=args.size)
            output.record({**describe(item.info), "depth": item.depth}, _before(item, lines) + name)

    code = _each_tree(args, output, draw)
    folders, files = count(counted["folders"], "folder"), count(counted["files"], "file")
    line = folders if args.folders else f"{folders}, {files}, {amount(counted['size'])}"
    output.summary(line, **counted)
    return code


def du(args: argparse.Namespace, output: Output) -> int:
    """Print what folders come to."""
    deepest = 0 if args.summarize else args.depth

    def show(client: "CtaClient", top: "FileInfo", tell: Callable[[str, CtaError], None]) -> None:
        for usage in client.usage(top.path, exclude=args.exclude, on_error=tell):
            if deepest is None or usage.depth <= deepest:
                size = amount(usage.size) if args.human else str(usage.size)
                output.record(_described(usage), f"{size:>14} {_name(usage.info, usage.info.path)}")

    return _each_tree(args, output, show)


def _each_tree(
    args: argparse.Namespace,
    output: Output,
    show: "Callable[[CtaClient, FileInfo, Callable[[str, CtaError], None]], None]",
) -> int:
    """Show every tree that is named, passing over what cannot be listed; return 1 when there was any such, else 0."""
    addresses = [paths.parse(text) for text in args.paths]
    unlisted: list[str] = []
    with open_client(args, addresses) as client:

        def tell(folder: str, error: CtaError) -> None:
            if ends_all(error):
                raise error
            output.error(error)
            unlisted.append(folder)

        def show_all(address: uri.Address) -> None:
            for top in paths.topmost(paths.expand(client, address)):
                show(client, top, tell)

        return each(addresses, show_all, output) or int(bool(unlisted))


def _count(counted: dict[str, int], info: "FileInfo") -> None:
    counted["folders" if info.is_dir else "files"] += 1
    counted["size"] += info.size or 0


def _name(info: "FileInfo", name: str, *, sized: bool = False) -> str:
    slash = "/" if info.is_dir and name != "/" else ""
    size = "-" if info.size is None or info.is_dir else str(info.size)
    return f"[{size:>14}]  {name}{slash}" if sized else f"{name}{slash}"


def _before(item: Nested, lines: dict[bool, tuple[str, str]]) -> str:
    *above, last = item.lasts
    return "".join(lines[of_folder][1] for of_folder in above) + lines[last][0]


def _described(usage: Usage) -> dict[str, object]:
    return {
        "path": usage.info.path,
        "uri": usage.info.uri,
        "type": "folder" if usage.info.is_dir else "file",
        "depth": usage.depth,
        "size": usage.size,
        "files": usage.files,
        "folders": usage.folders,
        "unsized": usage.unsized,
    }


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
