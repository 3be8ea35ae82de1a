"""A client of a FakeCta, and every call of it that takes a path."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctadata_providers import (
    Config,
    CtaClient,
)
from ctadata_providers.testing import FakeCta

BAD_PATHS = ("lst/../x", "cta://lst//x", "cta://./x", "lst/a\0b", "lst/a\n", "https://door/x", "cta://@x")
PATH_CALLS: dict[str, Callable[[CtaClient, str, Path], object]] = {
    "list_dir": lambda client, path, local: list(client.list_dir(path)),
    "walk": lambda client, path, local: list(client.walk(path)),
    "glob": lambda client, path, local: list(client.glob(path)),
    "stat": lambda client, path, local: client.stat(path),
    "exists": lambda client, path, local: client.exists(path),
    "download": lambda client, path, local: client.download(path, local / "f"),
    "upload": lambda client, path, local: client.upload(local / "sent", path),
    "download_tree": lambda client, path, local: client.download_tree(path, local / "d"),
    "upload_tree": lambda client, path, local: client.upload_tree(local, path),
    "remove": lambda client, path, local: client.remove(path),
    "move": lambda client, path, local: client.move(path, "lst/x"),
    "move to": lambda client, path, local: client.move("lst/f", path),
    "make_dir": lambda client, path, local: client.make_dir(path),
    "checksum": lambda client, path, local: client.checksum(path),
}


def connect(cta: FakeCta, **settings: Any) -> CtaClient:
    """Return a client of a data centre with some settings changed."""
    return CtaClient(Config.from_mapping({**cta.settings(), "retries": 0, **settings}))


def asked(cta: FakeCta) -> list[tuple[str, str, int]]:
    """Return server, method and status of what was asked."""
    return [(request.server, request.method, request.status) for request in cta.requests]
