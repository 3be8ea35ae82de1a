"""The sub-commands that copy: `get` and `put`."""

import argparse
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ctadata_providers import uri
from ctadata_providers.cli import paths
from ctadata_providers.cli.commands import each, gather, open_client
from ctadata_providers.cli.output import Output, amount
from ctadata_providers.cli.progress import progress_bar
from ctadata_providers.errors import AlreadyExistsError, ConfigError, IsADirError, NotFoundError

if TYPE_CHECKING:
    from ctadata_providers import CtaClient, FileInfo, TransferResult, TreeResult
    from ctadata_providers.transfer import Progress

    Files = Generator[tuple[str, Future[TransferResult]], None, None]


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy to make.

    Attributes:
        remote: Remote path.
        local: Local path.
        info: What the storage told of it, of a download.
        size: Bytes, None when unknown.
        tree: Copies it, a folder; None for a file.
    """

    remote: str
    local: Path
    info: "FileInfo | None" = None
    size: int | None = None
    tree: "Callable[[Progress | None], TreeResult] | None" = None


def get(args: argparse.Namespace, output: Output) -> int:
    """Download files and folders."""
    remotes, local = _split_paths(args.paths)
    addresses = [uri.parse(text) for text in remotes]
    with open_client(args, addresses) as client:
        found, code = gather(client, addresses, output, recursive=args.recursive)
        # A pattern means a folder, however many files it finds today.
        several = len(addresses) > 1 or any(info.path != addresses[0].path for info in found)
        folder = paths.local_folder(local, several=several)
        plan: dict[str, Copy] = {}

        def add(info: "FileInfo") -> None:
            if info.is_dir and not args.recursive:
                raise IsADirError(f"{info.path} is a folder", path=info.path, remedy="add -r to copy all that is in it")
            target = Path(local) if folder is None else folder / info.name
            _claim(str(target), plan)
            plan[str(target)] = _download(client, info, target, overwrite=not args.no_overwrite)

        code = each(found, add, output) or code

        def many(progress: "Progress | None") -> "Files":
            pairs = [(copy.info, copy.local) for copy in plan.values() if copy.info is not None and copy.tree is None]
            files = client.download_many(pairs, overwrite=not args.no_overwrite, progress=progress)
            return ((str(local), future) for (_, local), future in files)

        return _run("downloaded", plan, many, output) or code


def put(args: argparse.Namespace, output: Output) -> int:
    """Upload files and folders."""
    if "-" in args.local:
        raise ConfigError("'-' for standard input is not supported yet", remedy="write a file and name that")
    address = uri.parse(args.remote)
    with open_client(args, [address]) as client:
        folder = paths.remote_folder(client, address, several=len(args.local) > 1)
        plan: dict[str, Copy] = {}

        def add(text: str) -> None:
            source = Path(text)
            if not source.exists():
                raise NotFoundError(f"{text} does not exist on this machine", path=source, remedy="check the name")
            if source.is_dir() and not args.recursive:
                raise IsADirError(f"{text} is a folder", path=source, remedy="add -r to copy all that is in it")
            # '.' and '..' have no name to be copied under: their content goes into the folder itself.
            inside = folder is not None and source.name not in ("", "..")
            target = uri.join(folder, source.name) if folder is not None and inside else address.path
            _claim(target, plan)
            plan[target] = _upload(client, source, target, overwrite=not args.no_overwrite)

        code = each(args.local, add, output)

        def many(progress: "Progress | None") -> "Files":
            pairs = [(copy.local, copy.remote) for copy in plan.values() if copy.tree is None]
            files = client.upload_many(pairs, overwrite=not args.no_overwrite, progress=progress)
            return ((remote, future) for (_, remote), future in files)

        return _run("uploaded", plan, many, output) or code


def _split_paths(given: Sequence[str]) -> tuple[Sequence[str], str]:
    """Tell remote paths from the local one: the last of several, unless it is a `cta://` address."""
    if given[-1] == "-":
        raise ConfigError("'-' for standard output is not supported yet", remedy="name a file, then read that")
    if len(given) == 1 or uri.is_uri(given[-1]):
        return given, "."
    return given[:-1], given[-1]


def _claim(target: str, plan: dict[str, Copy]) -> None:
    if target in plan:
        raise AlreadyExistsError(
            f"{target} would be written twice in this command", path=target, remedy="copy into different folders"
        )


def _download(client: "CtaClient", info: "FileInfo", target: Path, *, overwrite: bool) -> Copy:
    def tree(progress: "Progress | None") -> "TreeResult":
        return client.download_tree(info.path, target, overwrite=overwrite, progress=progress)

    return Copy(remote=info.path, local=target, info=info, size=info.size, tree=tree if info.is_dir else None)


def _upload(client: "CtaClient", source: Path, target: str, *, overwrite: bool) -> Copy:
    def tree(progress: "Progress | None") -> "TreeResult":
        return client.upload_tree(source, target, overwrite=overwrite, progress=progress)

    if source.is_dir():
        return Copy(remote=target, local=source, tree=tree)
    return Copy(remote=target, local=source, size=source.stat().st_size)


def _run(verb: str, plan: Mapping[str, Copy], many: "Callable[[Progress | None], Files]", output: Output) -> int:
    """Make copies, files several at once, then folders; return 1 when one failed, else 0."""
    begin = time.monotonic()
    moved = {"files": 0, "size": 0, "retries": 0}
    copies = list(plan.values())
    label = copies[0].remote.rpartition("/")[2] if len(copies) == 1 else f"{len(copies)} paths"
    sizes = [copy.size for copy in copies if copy.size is not None]
    total = sum(sizes) if len(sizes) == len(copies) else None
    with progress_bar(label, total=total, shown=output.bars) as progress:

        def finish(copied: "tuple[Copy, Callable[[], TransferResult | TreeResult]]") -> None:
            copy, outcome = copied
            result = outcome()
            figures = {"files": getattr(result, "files", 1), "size": result.size, "retries": result.retries}
            for name, value in figures.items():
                moved[name] += value
            output.done(verb, copy.remote, local=str(copy.local), seconds=round(result.seconds, 3), **figures)

        with closing(_outcomes(plan, many(progress), progress)) as outcomes:
            code = each(outcomes, finish, output)
    if moved["files"]:
        output.say(_summary(verb, seconds=time.monotonic() - begin, **moved))
    return code


def _outcomes(
    plan: Mapping[str, Copy], files: "Files", progress: "Progress | None"
) -> "Generator[tuple[Copy, Callable[[], TransferResult | TreeResult]]]":
    """Give each copy with what returns its result, files as they end; what ends the iteration stops all that run."""
    with closing(files):
        for key, future in files:
            yield plan[key], future.result
    for copy in plan.values():
        if copy.tree is not None:
            yield copy, partial(copy.tree, progress)


def _summary(verb: str, *, files: int, size: int, retries: int, seconds: float) -> str:
    again = f", {retries} retries" if retries else ""
    rate = amount(size / max(seconds, 0.001))
    return f"{verb} {files} file{'' if files == 1 else 's'}, {amount(size)} in {seconds:.1f} s ({rate}/s){again}"
