"""The sub-commands that copy: `get` and `put`."""

import argparse
import shlex
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctadata_providers import uri
from ctadata_providers.cli import paths
from ctadata_providers.cli.commands import each, gather, open_client
from ctadata_providers.cli.options import settings_of
from ctadata_providers.cli.output import Output, amount, count
from ctadata_providers.cli.progress import progress_bar
from ctadata_providers.errors import AlreadyExistsError, ConfigError, CtaError, IsADirError, NotFoundError
from ctadata_providers.local_places import local_path
from ctadata_providers.session.futures import Future
from ctadata_providers.transfer import CopyResult, ends_all, was_kept

if TYPE_CHECKING:
    from ctadata_providers import FileInfo, TransferResult, TreeResult
    from ctadata_providers.transfer import Progress

    Files = Generator[tuple[str, Future[TransferResult] | Future[CopyResult]], None, None]


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy to make.

    Attributes:
        remote: Remote path; of a copy from remote to remote its target.
        local: Local path, None where there is none.
        source: Remote path of the source, where there is no local one.
        info: What the storage told of it, of a download.
        size: Bytes, None when unknown.
        tree: Copies it, a folder, with `progress`; None for a file.
    """

    remote: str
    local: Path | None = None
    source: str | None = None
    info: "FileInfo | None" = None
    size: int | None = None
    tree: "Callable[..., TreeResult] | None" = None

    @property
    def other_end(self) -> dict[str, str]:
        """What is told of the end that `remote` is not."""
        return {"local": str(self.local)} if self.source is None else {"source": self.source}


def get(args: argparse.Namespace, output: Output) -> int:
    """Download files and folders."""
    remotes, local = _split_paths(args.paths)
    addresses = [paths.parse(text) for text in remotes]
    with open_client(args, addresses) as client:
        stop = args.on_error == "stop"
        found, code = gather(client, addresses, output, recursive=args.recursive, stop=stop)
        # A pattern means a folder, however many files it finds today.
        several = len(addresses) > 1 or any(info.path != addresses[0].path for info in found)
        folder = paths.local_folder(local, several=several)
        plan: dict[str, Copy] = {}

        def add(info: "FileInfo") -> None:
            if info.is_dir and not args.recursive:
                raise IsADirError(f"{info.path} is a folder", path=info.path, remedy="add -r to copy all that is in it")
            target = Path(local) if folder is None else folder / info.name
            claim(str(target), plan)
            tree = partial(client.download_tree, info.path, target, **tree_options(args)) if info.is_dir else None
            plan[str(target)] = Copy(remote=info.path, local=target, info=info, size=info.size, tree=tree)

        code = each(found, add, output, stop=stop) or code

        def many(progress: "Progress | None") -> "Files":
            pairs = [(copy.info, copy.local) for copy in plan.values() if copy.info and copy.local and not copy.tree]
            files = client.download_many(pairs, overwrite=not args.no_overwrite, progress=progress)
            return ((str(local), future) for (_, local), future in files)

        try:
            return run_copies("downloaded", plan, many, output, stop=stop) or code
        except KeyboardInterrupt as interruption:
            given = [args.include, args.exclude, *settings_of(args).values()]
            for note in _how_to_go_on(plan, addresses, options=any(given)):
                interruption.add_note(note)
            raise


def _how_to_go_on(plan: Mapping[str, Copy], addresses: Sequence[uri.Address], *, options: bool) -> Iterator[str]:
    """Say what goes on with downloads that were interrupted: `get -r` would put a folder into the one that is begun.

    Args:
        plan: What was to be copied.
        addresses: Those of the command.
        options: Whether it has options that hold for `sync`, too.
    """
    copies = [copy for copy in plan.values() if copy.local is not None]
    trees = [copy for copy in copies if copy.tree is not None]
    if any(copy.tree is None and copy.local is not None and was_kept(copy.local) for copy in copies):
        yield "the same command goes on where it stopped"
    if not trees:
        return
    command = "ctadata sync SOURCE TARGET"
    if len(trees) == 1:
        name, path = paths.profile_of(addresses, None), trees[0].remote
        source = f"cta://{name}@{path.lstrip('/')}" if name else uri.format_uri(path)
        command = shlex.join(["ctadata", "sync", source, str(trees[0].local)])
    each_folder = "" if len(trees) == 1 else " with each folder"
    yield f"to go on{each_folder} where it stopped{', with the same options' if options else ''}: {command}"


def put(args: argparse.Namespace, output: Output) -> int:
    """Upload files and folders."""
    if "-" in args.local:
        raise ConfigError("'-' for standard input is not supported yet", remedy="write a file and name that")
    address = paths.parse(args.remote)
    with open_client(args, [address]) as client:
        folder = paths.remote_folder(client, address, several=len(args.local) > 1)
        plan: dict[str, Copy] = {}

        def add(text: str) -> None:
            source = source_of(text, recursive=args.recursive)
            # '.' and '..' have no name to be copied under: their content goes into the folder itself.
            inside = folder is not None and source.name not in ("", "..")
            target = uri.join(folder, source.name) if folder is not None and inside else address.path
            claim(target, plan)
            tree = partial(client.upload_tree, source, target, **tree_options(args)) if source.is_dir() else None
            size = None if tree else source.stat().st_size
            plan[target] = Copy(remote=target, local=source, size=size, tree=tree)

        stop = args.on_error == "stop"
        code = each(args.local, add, output, stop=stop)

        def many(progress: "Progress | None") -> "Files":
            pairs = [(copy.local, copy.remote) for copy in plan.values() if copy.local and copy.tree is None]
            files = client.upload_many(pairs, overwrite=not args.no_overwrite, progress=progress)
            return ((remote, future) for (_, remote), future in files)

        return run_copies("uploaded", plan, many, output, stop=stop) or code


def _split_paths(given: Sequence[str]) -> tuple[Sequence[str], str]:
    """Tell remote paths from the local one: the last of several, unless it is a `cta://` address.

    Raises:
        ConfigError: When the local one cannot be one.
    """
    if given[-1] == "-":
        raise ConfigError("'-' for standard output is not supported", remedy="use 'ctadata cat'")
    if len(given) == 1 or uri.is_uri(given[-1]):
        return given, "."
    local_path(given[-1])
    return given[:-1], given[-1]


def source_of(text: str, *, recursive: bool) -> Path:
    """Return a local file or folder to upload.

    Raises:
        NotFoundError: When there is none.
        IsADirError: When it is a folder, and only files are meant.
    """
    source = Path(text)
    if not (text and source.exists()):  # an empty text would be the current folder
        raise NotFoundError(f"{text or repr(text)} does not exist on this machine", path=text, remedy="check the name")
    if source.is_dir() and not recursive:
        raise IsADirError(f"{text} is a folder", path=source, remedy="add -r to copy all that is in it")
    return source


def claim(target: str, plan: dict[str, Copy]) -> None:
    """Make sure that a target is written once.

    Raises:
        AlreadyExistsError: When another copy of the command goes there.
    """
    if target in plan:
        raise AlreadyExistsError(
            f"{target} would be written twice in this command", path=target, remedy="copy into different folders"
        )


def tree_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says of the copies of folders."""
    return {
        "overwrite": not args.no_overwrite,
        "include": args.include,
        "exclude": args.exclude,
        "on_error": args.on_error,
    }


def run_copies(
    verb: str, plan: Mapping[str, Copy], many: "Callable[[Progress | None], Files]", output: Output, *, stop: bool
) -> int:
    """Make copies, files several at once, then folders; return 1 when one failed, else 0."""
    copies = list(plan.values())
    label = copies[0].remote.rpartition("/")[2] if len(copies) == 1 else f"{len(copies)} paths"
    sizes = [copy.size for copy in copies if copy.size is not None]
    total = sum(sizes) if len(sizes) == len(copies) else None
    report = Report(verb, output, stop=stop)
    try:
        with progress_bar(label, total=total, shown=output.bars) as progress:
            with closing(many(progress)) as files:
                report.take_files({key: copy for key, copy in plan.items() if copy.tree is None}, files)
            for copy in copies:
                if copy.tree is not None:
                    report.take(copy, partial(copy.tree, progress=progress))
    except CtaError:
        report.close()
        raise
    return report.close()


class Report:
    """Tells what was copied and what was not: the same text for the same outcome, whatever ended first.

    Args:
        verb: What was done.
        output: Where it is told.
        stop: Whether the first error ends all.
    """

    def __init__(self, verb: str, output: Output, *, stop: bool) -> None:
        self._verb = verb
        self._output = output
        self._stop = stop
        self._begin = time.monotonic()
        self._done = self._files = self._size = self._retries = self._resumed = 0
        self._fatal = 0
        self._failures: list[tuple[str, BaseException]] = []

    def take_files(
        self, plan: "Mapping[str, Copy]", files: "Iterable[tuple[str, Future[TransferResult] | Future[CopyResult]]]"
    ) -> None:
        """Take the outcomes of files as they come, and tell of them in the order of the plan.

        Raises:
            OSError: When the first error ends all.
            CtaError: What no other file would survive.
        """
        ended: dict[str, Future[TransferResult] | Future[CopyResult]] = {}
        order = iter(plan)
        following = next(order, None)
        for key, future in files:
            ended[key] = future
            error = future.exception()
            if error is not None and self._ends(error):
                break
            while following in ended:
                self.take(plan[following], ended.pop(following).result)
                following = next(order, None)
        for key in (key for key in plan if key in ended):
            self.take(plan[key], ended[key].result)

    def take(self, copy: Copy, outcome: "Callable[..., TransferResult | CopyResult | TreeResult]") -> None:
        """Tell of one copy; its errors are told at the end.

        Raises:
            OSError: When the first error ends all.
            CtaError: What no other copy would survive.
        """
        try:
            result = outcome()
        except (OSError, CtaError) as error:
            if self._ends(error):
                self._fatal = 1  # told by who ends all
                raise
            self._failures.append((copy.remote, error))
            return
        failures = getattr(result, "failures", ())
        self._failures += [(failure.path, failure.error) for failure in failures]
        figures = {"files": getattr(result, "files", 1), "size": result.size, "retries": result.retries}
        self._done += 1
        self._files += figures["files"]
        self._size += figures["size"]
        self._retries += figures["retries"]
        self._resumed += result.resumed
        seconds = round(result.seconds, 3)
        way: dict[str, str] = {"way": result.way} if isinstance(result, CopyResult) else {}
        self._output.done(
            self._verb, copy.remote, **copy.other_end, seconds=seconds, failed=len(failures), **figures, **way
        )

    def close(self) -> int:
        """Tell the errors, by path, and sum up; return 1 when there were errors, else 0."""
        for _, error in sorted(self._failures, key=itemgetter(0)):
            self._output.error(error)
        if self._done:
            self._sum_up(time.monotonic() - self._begin)
        return 1 if self._failures else 0

    def _ends(self, error: BaseException) -> bool:
        return self._stop or not isinstance(error, OSError) or ends_all(error)

    def _sum_up(self, seconds: float) -> None:
        moved = self._size - self._resumed
        rate, failed = moved / max(seconds, 0.001), len(self._failures) + self._fatal
        parts = [
            f"{self._verb} {count(self._files, 'file')}, {amount(self._size)} in {seconds:.1f} s ({amount(rate)}/s)",
            f"{amount(self._resumed)} were there from before" if self._resumed else "",
            f"{self._retries} retries" if self._retries else "",
            f"{failed} failed" if failed else "",
        ]
        self._output.summary(
            ", ".join(filter(None, parts)),
            done=self._verb,
            files=self._files,
            size=self._size,
            resumed=self._resumed,
            seconds=round(seconds, 3),
            rate=round(rate),
            retries=self._retries,
            failed=failed,
        )
