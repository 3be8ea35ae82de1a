"""An act that needs both HTTP stacks: requests for messages, libcurl for bytes."""

from pathlib import Path

from ctadata_providers import CtaClient

PATH = "/night/events.fits"


def use(client: CtaClient, target: Path) -> None:
    """Use both HTTP stacks, both ways."""
    assert client.stat(PATH).size is not None
    client.download(PATH, target)
    client.upload(target, "/night/new")
