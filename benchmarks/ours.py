"""ctadata-providers, in this process and as the command `ctadata`."""

import os
import sys

from benchmarks.runner import command
from benchmarks.site import Site
from ctadata_providers import Config, CtaClient

IN_PROCESS = "ctadata-providers, in process"
COMMAND = "ctadata, whole process"


def warm_up(site: Site) -> None:
    """Load what a first request loads: in this process the import is not to be measured."""
    with _client(site) as client:
        client.download_tree("/warm", site.folder / "warm")
        client.upload_tree(site.folder / "warm", "/sent/warm")


def get(site: Site) -> None:
    """Download the large file."""
    with _client(site) as client:
        client.download("/large.bin", site.received / "large.bin")


def put(site: Site) -> None:
    """Upload the large file."""
    with _client(site) as client:
        client.upload(site.large, "/sent/large.bin")


def get_tree(site: Site) -> None:
    """Download the folder of small files."""
    with _client(site) as client:
        client.download_tree("/small", site.received / "small")


def put_tree(site: Site) -> None:
    """Upload the folder of small files."""
    with _client(site) as client:
        client.upload_tree(site.small, "/sent/small")


def ctadata(site: Site, *arguments: str) -> None:
    """Run the command line."""
    options = ["--door-url", site.server.url, "--ca-path", str(site.ca_file)]
    argv = [sys.executable, "-m", "ctadata_providers.cli", "-q", *options, *arguments]
    command(argv, env=_bare_environment())


def parallel() -> int:
    """Return how many transfers a client runs at once by default."""
    return Config().max_parallel


def _client(site: Site) -> CtaClient:
    return CtaClient(Config(door_url=site.server.url, ca_path=site.ca_file))


def _bare_environment() -> dict[str, str]:
    """Return the environment without settings of a data centre: they are not to be measured, or sent."""
    ours = ("CTA_", "BEARER_", "X509_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
