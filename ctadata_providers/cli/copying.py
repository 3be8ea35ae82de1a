"""The sub-command that copies from one remote place to another: `cp`."""

import argparse
import os
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from ctadata_providers import uri
from ctadata_providers.cli import paths
from ctadata_providers.cli.commands import each
from ctadata_providers.cli.copies import Copy, claim, run_copies, tree_options
from ctadata_providers.cli.options import settings_of
from ctadata_providers.cli.output import Output
from ctadata_providers.errors import ConfigError, IsADirError, NotFoundError

if TYPE_CHECKING:
    from ctadata_providers import CtaClient, FileInfo
    from ctadata_providers.cli.copies import Files
    from ctadata_providers.transfer import Progress

_LOCAL = ("./", "../", "~")
_REMEDY = "download with 'ctadata get', upload with 'ctadata put'"


def cp(args: argparse.Namespace, output: Output) -> int:
    """Copy files and folders from one remote place to another."""
    addresses = [_remote(text) for text in args.sources]
    target = _remote(args.target, to_be_written=True)
    stop = args.on_error == "stop"
    with ExitStack() as stack:
        client = stack.enter_context(_open(args, addresses))
        same = (target.name or _chosen(args)) == (paths.profile_of(addresses, None) or _chosen(args))
        other = client if same else stack.enter_context(_open(args, [target]))
        found: list[FileInfo] = []
        code = each(
            zip(args.sources, addresses, strict=True),
            lambda one: found.extend(_expand(client, *one)),
            output,
            stop=stop,
        )
        infos = list(paths.topmost(found)) if args.recursive else found
        # A pattern means a folder, however many files it finds today.
        several = len(addresses) > 1 or any(info.path != addresses[0].path for info in infos)
        folder = paths.remote_folder(other, target, several=several)
        plan: dict[str, Copy] = {}

        def add(info: "FileInfo") -> None:
            if info.is_dir and not args.recursive:
                raise IsADirError(f"{info.path} is a folder", path=info.path, remedy="add -r to copy all that is in it")
            place = target.path if folder is None else uri.join(folder, info.name) if info.name else folder
            claim(place, plan)
            copy_tree = partial(client.copy_tree, info.path, place, to=other, **tree_options(args))
            plan[place] = Copy(
                remote=place, source=info.path, info=info, size=info.size, tree=copy_tree if info.is_dir else None
            )

        code = each(infos, add, output, stop=stop) or code

        def many(progress: "Progress | None") -> "Files":
            pairs = [(copy.info, copy.remote) for copy in plan.values() if copy.info and copy.tree is None]
            files = client.copy_many(pairs, to=other, overwrite=not args.no_overwrite, progress=progress)
            return ((path, future) for (_, path), future in files)

        return (run_copies("copied", plan, many, output, stop=stop) if plan else 0) or code


def _chosen(args: argparse.Namespace) -> str | None:
    profile: str | None = settings_of(args)["profile"]
    return profile


def _open(args: argparse.Namespace, addresses: Iterable[uri.Address]) -> "CtaClient":
    """Return a client for the profile that the addresses name, else for that of the command line.

    A named one takes only what holds for both sides from the command line: neither a door nor a credential.

    Raises:
        ConfigError: When a setting cannot be used, or the addresses name several profiles.
    """
    from ctadata_providers import Config, CtaClient
    from ctadata_providers.client.connection import SHARED_SETTINGS
    from ctadata_providers.config import config_of_another

    settings = settings_of(args)
    name = paths.profile_of(addresses, None)
    if name is None or name == settings["profile"]:
        return CtaClient(Config.from_env(**settings))
    shared = {key: value for key, value in settings.items() if key in SHARED_SETTINGS}
    return CtaClient(config_of_another(name, Config.from_env(**settings), **shared))


def _remote(text: str, *, to_be_written: bool = False) -> uri.Address:
    """Return a remote address.

    Raises:
        ConfigError: When it cannot be one, or is taken for a local path.
    """
    if text.startswith(_LOCAL) or text in (".", "..", "-"):
        raise ConfigError(f"{text} is no remote path, and cp copies from remote to remote", path=text, remedy=_REMEDY)
    address = paths.parse(text)
    if to_be_written and not uri.is_uri(text) and _is_here(text):
        raise ConfigError(
            f"{text} exists on this machine: is that meant?",
            path=text,
            remedy=f"{_REMEDY}; for the remote one write {address.uri}",
        )
    return address


def _is_here(text: str) -> bool:
    return os.path.exists(text)  # noqa: PTH110 (`Path.exists` raises below a folder that may not be entered)


def _expand(client: "CtaClient", text: str, address: uri.Address) -> "Iterable[FileInfo]":
    try:
        yield from paths.expand(client, address)
    except NotFoundError as error:
        if uri.is_uri(text) or not _is_here(text):
            raise
        raise NotFoundError(
            f"there is no remote {address.path}, but {text} is on this machine", path=address.path, remedy=_REMEDY
        ) from error
