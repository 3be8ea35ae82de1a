"""The commands `cta-data` and `cta-data-direct`, for users of the package ctadata and for their scripts.

They take and print what those of ctadata do, and are those of `ctadata` below that. Exit codes are right.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ctadata_providers import uri
from ctadata_providers.cli import act, main, paths
from ctadata_providers.cli.commands import open_client
from ctadata_providers.cli.legacy_arguments import parse
from ctadata_providers.cli.output import Output
from ctadata_providers.patterns import has_magic

if TYPE_CHECKING:
    from ctadata_providers import CtaClient
    from ctadata_providers.cli.copies import Files
    from ctadata_providers.transfer import Progress


def cta_data(argv: Sequence[str] | None = None) -> int:
    """Run a command of `cta-data`, and return its exit code, as `main` does."""
    return main(argv, run=partial(_run, "cta-data"))


def cta_data_direct(argv: Sequence[str] | None = None) -> int:
    """Run a command of `cta-data-direct`, the same at a door; return its exit code."""
    return main(argv, run=partial(_run, "cta-data-direct"))


def _run(program: str, arguments: Sequence[str]) -> int:
    args = parse(program, arguments)
    from ctadata_providers.cli import agent, certificate, token

    actions = {
        "list": list_,
        "get": get,
        "put": put,
        "upload-shared-certificate": certificate.upload,
        "upload-personal-certificate": certificate.upload,
        "start-agent": agent.start_agent,
        "stop-agent": agent.stop_agent,
        "print-token": token.print_token,
        "get-token": token.print_token,
    }
    return act(actions[args.command], args)


def list_(args: argparse.Namespace, output: Output) -> int:
    """Print what is in a folder: from the services a Python dictionary a line, from a door its name."""
    from ctadata_providers.compat.entries import ServiceEntry, list_entries

    path = _plain(args.path)
    with _open(args, path) as client:
        for entry in list_entries(client, path):
            fields = dict(entry)
            output.record(fields, repr(fields) if isinstance(entry, ServiceEntry) else entry)
    return 0


def get(args: argparse.Namespace, output: Output) -> int:
    """Download a file under its last name, or a folder to where `compat` has it."""
    from ctadata_providers.cli import copies
    from ctadata_providers.compat.places import tree_target

    source = _plain(args.path)
    with _open(args, source) as client:
        # A name is never a pattern: one that is not there would else bring others.
        is_dir = (args.recursive or has_magic(source)) and client.stat(source).is_dir
        folder = tree_target(client, source).parent if args.recursive and is_dir else Path()
    args.paths = [source, f"{folder}/"]
    return copies.get(args, output)


def put(args: argparse.Namespace, output: Output) -> int:
    """Upload a file, or with `-r` what is in a folder."""
    from ctadata_providers.cli import copies
    from ctadata_providers.compat.places import file_target, target_of

    local = copies.source_of(args.local_path, recursive=args.recursive)
    text = _plain(args.path)
    with _open(args, text) as client:
        place = target_of(client, text) if local.is_dir() else file_target(client, local, text)
        target = uri.parse(place).path
        tree = partial(client.upload_tree, local, target, **copies.tree_options(args)) if local.is_dir() else None
        size = None if tree else local.stat().st_size
        plan = {target: copies.Copy(remote=target, local=local, size=size, tree=tree)}

        def many(progress: "Progress | None") -> "Files":
            pairs = [] if tree else [(local, target)]
            return ((remote, future) for (_, remote), future in client.upload_many(pairs, progress=progress))

        return copies.run_copies("uploaded", plan, many, output, stop=args.on_error == "stop")


def _open(args: argparse.Namespace, text: str) -> "CtaClient":
    """Return a client for a remote path, which may name a profile.

    Raises:
        ConfigError: When a setting or the path cannot be used.
    """
    return open_client(args, [paths.parse(text)])


def _plain(text: str) -> str:
    """Return a path as ctadata takes it: several slashes are one."""
    from ctadata_providers.compat.places import plain_path

    return text if uri.is_uri(text) else plain_path(text)
