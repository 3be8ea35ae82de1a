"""The sub-commands for trees on both sides: `sync`, `verify` and `clean`."""

import argparse
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ctadata_providers import uri
from ctadata_providers.cli import paths
from ctadata_providers.cli.commands import each, open_client
from ctadata_providers.cli.output import Output, amount, count, utc
from ctadata_providers.cli.progress import progress_bar
from ctadata_providers.errors import ConfigError
from ctadata_providers.local_places import local_path

if TYPE_CHECKING:
    from ctadata_providers.transfer.cleaning import CleanResult, FoundPart
    from ctadata_providers.transfer.context import Failure
    from ctadata_providers.transfer.trees.sync import Change, SyncResult
    from ctadata_providers.transfer.trees.verification import Difference

_DONE = {"make": "made", "copy": "copied", "replace": "replaced", "remove": "removed"}


def sync(args: argparse.Namespace, output: Output) -> int:
    """Make a folder like another."""
    try:
        return _sync(args, output)
    except KeyboardInterrupt as interruption:
        interruption.add_note("the same command goes on where it stopped")
        raise


def _sync(args: argparse.Namespace, output: Output) -> int:
    remotes = [text for text in (args.source, args.target) if uri.is_uri(text)]
    if len(remotes) != 1:
        raise ConfigError(
            f"usage: one of {args.source} and {args.target} must be a cta:// address, the other a local folder",
            remedy="write the remote folder as cta://lst/…",
        )
    address = uri.parse(remotes[0])
    source, target = (address.path if uri.is_uri(text) else text for text in (args.source, args.target))

    def tell(change: "Change") -> None:
        record = {
            "path": change.path,
            "type": "folder" if change.is_dir else "file",
            "size": None if change.is_dir else change.size,
        }
        shown = f"{change.path or '.'}{'/' if change.is_dir else ''}"
        if args.dry_run:
            output.record({"change": change.kind, **record}, f"{change.kind:8}{shown}")
        elif output.as_json:
            output.record({"done": _DONE[change.kind], **record})
        elif output.verbose:
            output.say(f"{_DONE[change.kind]} {shown}")

    with (
        open_client(args, [address]) as client,
        progress_bar(f"{source} to {target}", total=None, shown=output.bars and not args.dry_run) as progress,
    ):
        result = client.sync(
            *(uri.format_uri(address.path) if uri.is_uri(text) else text for text in (args.source, args.target)),
            compare=args.compare,
            delete=args.delete,
            dry_run=args.dry_run,
            include=args.include,
            exclude=args.exclude,
            on_error=args.on_error,
            progress=progress,
            on_change=tell,
        )
    code = _failed(result.failures, output)
    output.summary(_sync_summary(result, dry_run=args.dry_run), **_synced(result, dry_run=args.dry_run))
    return code


def _synced(result: "SyncResult", *, dry_run: bool) -> dict[str, Any]:
    figures = {name: getattr(result, name) for name in ("copied", "unchanged", "removed", "size", "retries")}
    return {
        "done": "synced",
        "dry_run": dry_run,
        **figures,
        "seconds": round(result.seconds, 3),
        "failures": len(result.failures),
    }


def _sync_summary(result: "SyncResult", *, dry_run: bool) -> str:
    done = "would be copied" if dry_run else "copied"
    removed = f", {result.removed} {'would be ' if dry_run else ''}removed" if result.removed else ""
    failed = f", {len(result.failures)} failed" if result.failures else ""
    retries = f", {result.retries} retries" if result.retries else ""
    copied = f"{count(result.copied, 'file')} {done} ({amount(result.size)} in {result.seconds:.1f} s)"
    return f"{copied}, {result.unchanged} unchanged{removed}{failed}{retries}"


def verify(args: argparse.Namespace, output: Output) -> int:
    """Tell how local and remote files differ."""
    address = paths.parse(args.remote)
    differing = 0
    with open_client(args, [address]) as client:
        found = client.verify(
            args.local, address.path, compare=args.compare, include=args.include, exclude=args.exclude
        )
        with closing(found):
            for difference in found:
                differing += 1
                _show(difference, output)
    summary = f"{count(found.same, 'file')} the same ({amount(found.size)}), {count(differing, 'difference')}"
    output.summary(summary, done="verified", same=found.same, size=found.size, differences=differing)
    return 1 if differing else 0


def _show(difference: "Difference", output: Output) -> None:
    here, there = difference.here, difference.there
    why = str(difference.error) if difference.error else None
    record = {"kind": difference.kind, "path": difference.path, "here": here, "there": there, "message": why}
    if difference.kind.startswith("missing"):
        detail = f" ({here or there})"
    elif why:
        detail = f": {why}"
    else:
        detail = f": {here} here, {there} there"
    output.record(record, f"{difference.path or '.'}: {difference.kind}{detail}")


def clean(args: argparse.Namespace, output: Output) -> int:
    """Remove what killed transfers have left."""
    failed = 0
    totals = {"removed": 0, "size": 0, "kept": 0}

    def take(result: "CleanResult") -> None:
        nonlocal failed
        for part in result.parts:
            _show_part(part, output, dry_run=args.dry_run)
            totals["removed" if part.fate == "removed" else "kept"] += 1
            totals["size"] += (part.size or 0) if part.fate == "removed" else 0
        failed |= _failed(result.failures, output)

    if args.local:
        # Here, not above: help and usage errors come at once.
        from ctadata_providers.transfer.cleaning import clean_local

        def clean_here(text: str) -> None:
            take(clean_local(local_path(text), older_than=args.older_than, dry_run=args.dry_run))

        code = each(args.paths, clean_here, output)
    else:
        addresses = [paths.parse(text) for text in args.paths]
        with open_client(args, addresses) as client:

            def clean_there(address: uri.Address) -> None:
                take(client.clean(address.path, older_than=args.older_than, dry_run=args.dry_run))

            code = each(addresses, clean_there, output)
    done = "would be removed" if args.dry_run else "removed"
    line = f"{count(totals['removed'], 'part')} {done} ({amount(totals['size'])}), {totals['kept']} kept"
    output.summary(line, done="cleaned", dry_run=args.dry_run, **totals)
    return code or failed


def _show_part(part: "FoundPart", output: Output, *, dry_run: bool) -> None:
    record = {
        "fate": part.fate,
        "path": part.path,
        "type": "folder" if part.is_dir else "file",
        "size": part.size,
        "mtime": utc(part.mtime),
    }
    shown = f"{part.path}{'/' if part.is_dir else ''}"
    if dry_run or output.as_json or part.fate == "undated":
        output.record(record, f"{'remove' if part.fate == 'removed' else 'keep'}  {shown}{_why_kept(part)}")
    elif output.verbose:
        output.say(f"{'removed' if part.fate == 'removed' else 'kept'} {shown}{_why_kept(part)}")


def _why_kept(part: "FoundPart") -> str:
    reasons: Mapping[str, str] = {
        "undated": "the server does not tell its time",
        "under way": "its upload is under way",
    }
    return "" if part.fate == "removed" else f" ({reasons.get(part.fate, part.fate)})"


def _failed(failures: "tuple[Failure, ...]", output: Output) -> int:
    """Print what could not be done; return 1 if there was anything."""
    for failure in failures:
        output.error(failure.error)
    return 1 if failures else 0
