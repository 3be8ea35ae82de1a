"""Every kind of redirecting XRootD: without tokens, with the token in the URL, with the token left out.

These managers ask their data servers for every name that is new to them, which takes a second or more: a small
selection of what test_conformance.py runs on managers that look themselves.
"""

import logging
import os
from pathlib import Path

import pytest

from ctadata_providers import NotFoundError, PermissionDeniedError
from tests.real.conftest import CLUSTERS, connect, tree
from tests.servers.server import Server

pytestmark = [pytest.mark.real, pytest.mark.parametrize("server", CLUSTERS, indirect=True)]

NAMES = ("a b", "h#h", "p%41q", "a+b", "[x]", "it's", "a&b;c=d", "ü", "日本")


def test_small_and_large_files_come_back_as_they_went(server: Server, folder: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    sizes = {"empty": 0, "small": 10_000, "large": 3_000_000, "a#b %41 ü.fits": 1_500_000}
    for name, size in (sizes | dict.fromkeys(NAMES, 100)).items():
        (source / name).write_bytes(os.urandom(size))
    with connect(server) as client:
        client.upload_tree(source, folder)
        client.download_tree(folder, tmp_path / "copy")
        listed = {info.name: info.size for info in client.list_dir(folder)}

    assert listed == {path.name: path.stat().st_size for path in source.iterdir()}
    assert tree(tmp_path / "copy") == tree(source)
    assert tree(server.root / folder.lstrip("/")) == tree(source)


def test_an_existing_file_is_replaced_and_renamed(server: Server, folder: str, tmp_path: Path) -> None:
    server.put(f"{folder}/f", b"old")
    (tmp_path / "new").write_bytes(b"new" * 1_000_000)
    with connect(server) as client:
        client.upload(tmp_path / "new", f"{folder}/f")
        client.move(f"{folder}/f", f"{folder}/g")
        client.remove(f"{folder}/g")
        with pytest.raises(NotFoundError):
            client.stat(f"{folder}/f")

    assert tree(server.root / folder.lstrip("/")) == {}


@pytest.mark.parametrize("name", ["plain.fits", "a b", "h#h", "p%41q"])
def test_a_name_that_was_looked_for_in_vain_is_seen_after_the_upload(
    server: Server, folder: str, name: str, tmp_path: Path
) -> None:
    """A manager remembers a miss; of a rename to a name with a blank it never hears."""
    (tmp_path / "local").write_bytes(b"data")
    with connect(server) as client:
        before = client.exists(f"{folder}/{name}")
        client.upload(tmp_path / "local", f"{folder}/{name}")
        after = client.exists(f"{folder}/{name}")

    assert (before, after) == (False, True)


def test_the_token_reaches_no_log_and_no_host_that_is_not_trusted(
    server: Server, folder: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.put(f"{folder}/f", b"data")
    token = server.make_token() if server.make_token else "no-token-at-all"
    stripped = server.name.endswith("stripped")
    with (
        caplog.at_level(logging.DEBUG),
        connect(server, token=token if server.make_token else "", trusted_hosts="") as client,
    ):
        if stripped:
            # The redirect asks for no token and leads to another host: none is sent there.
            with pytest.raises(PermissionDeniedError):
                client.download(f"{folder}/f", tmp_path / "copy")
        else:
            client.download(f"{folder}/f", tmp_path / "copy")

    assert (tmp_path / "copy").exists() is not stripped
    assert token not in caplog.text
