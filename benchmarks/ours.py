"""ctadata-providers, in a process that runs already and as the command `ctadata`."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from benchmarks.programs import CannotRun, Usage, command
from benchmarks.site import Site
from ctadata_providers import Config, CtaClient

IN_PROCESS = "ctadata-providers, in process"
LISTED = f"{IN_PROCESS}, listed before"
COMMAND = "ctadata, whole process"


def prepare_checksum(site: Site) -> None:
    """Have XRootD compute the checksum, as it does when it is asked first, and keeps it."""
    if site.kind == "XRootD":
        with CtaClient(Config(**settings_of(site))) as client:
            client.checksum("/large.bin")


def get(site: Site, *, size: int | None = None, checksums: Mapping[str, str] | None = None, **settings: Any) -> Usage:
    """Download the large file; with a size, nothing more is asked about it."""
    arguments = ("/large.bin", site.received / "large.bin", size, dict(checksums or {}))
    return in_child(site, "download", *arguments, count=site.size, **settings)


def put(site: Site, **settings: Any) -> Usage:
    """Upload the large file."""
    return in_child(site, "upload", site.large, "/sent/large.bin", count=site.size, **settings)


def get_tree(site: Site, **settings: Any) -> Usage:
    """Download the folder of small files."""
    return in_child(site, "download_tree", "/small", site.received / "small", count=site.files, **settings)


def get_listed(site: Site, **settings: Any) -> Usage:
    """Download the small files, known from a listing that is not timed: `site.server` is asked for it."""
    near = settings_of(replace(site, url=site.server.url))
    arguments = ("/small", site.received, near)
    return in_child(site, "download_many", *arguments, count=site.files, **settings)


def put_tree(site: Site, **settings: Any) -> Usage:
    """Upload the folder of small files."""
    return in_child(site, "upload_tree", site.small, "/sent/small", count=site.files, **settings)


def in_child(site: Site, act: str, *arguments: object, count: int, **settings: Any) -> Usage:
    """Do something in a fresh process (`benchmarks.child`); time and processor time are those of the work alone.

    Raises:
        CannotRun: It failed, or there were not `count` of what it counts.
    """
    task = {"act": act, "settings": settings_of(site, **settings), "arguments": arguments}
    argv = [sys.executable, "-m", "benchmarks.child", json.dumps(task, default=str)]
    usage = command(argv, env=_environment(site), cwd=Path(__file__).parent.parent)
    found = json.loads(usage.output)
    if found["count"] != count:
        raise CannotRun(f"{act} gave {found['count']} instead of {count}")
    return Usage(seconds=found["seconds"], cpu=found["cpu"], peak=usage.peak)


def ctadata(site: Site, *arguments: str) -> Usage:
    """Run the command line."""
    options = ["--door-url", site.url, "--ca-path", str(site.ca_file)]
    if site.certificate:
        certificate, key = site.certificate
        options += ["--cert-file", str(certificate), "--key-file", str(key)]
    argv = [sys.executable, "-m", "ctadata_providers.cli", "-q", *options, *arguments]
    return command(argv, env=_environment(site))


def parallel() -> int:
    """Return how many transfers a client runs at once by default."""
    return Config().max_parallel


def settings_of(site: Site, **settings: Any) -> dict[str, Any]:
    """Return the settings of a client of a site; those that this version does not have are left out."""
    certificate = dict(zip(("cert_file", "key_file"), site.certificate or (), strict=False))
    return {"door_url": site.url, "ca_path": site.ca_file, **certificate, **_known(settings)}


def bare_environment(**added: str) -> dict[str, str]:
    """Return the environment without settings of a data centre: they are not to be measured, or sent."""
    ours = ("CTA_", "BEARER_", "X509_", "RCLONE_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **added}


def _environment(site: Site) -> dict[str, str]:
    """Return an environment in which uploads remember their temporary names in the site's folder."""
    return bare_environment(XDG_STATE_HOME=str(site.folder / "state"))


def _known(settings: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(Config)}
    return {name: value for name, value in settings.items() if name in names}
