"""The services over XRootD, whose listings pass folders for files, and which takes no upload from them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers import Config, CtaClient, UnsupportedError
from ctadata_providers.testing import FakeCta
from ctadata_providers.webdav4_client import webdav4_client
from tests.faults.services.scripted import HOME
from tests.faults.services.test_storage import client_of


@pytest.fixture(scope="module")
def cta() -> Iterator[FakeCta]:
    with FakeCta(services=True, bans=False, service_storage="xrootd") as started:
        for name in ("a b#c.fits", "a%20b.fits", "ü.fits", "sub/x.fits"):
            started.put(f"/lst/DL3/{name}", name.encode())
        started.put("/notes", bytes(4096))
        started.put("/lst/q", b"cut")
        started.put("/lst/q?x", b"who")
        yield started


@pytest.fixture
def client(cta: FakeCta) -> Iterator[CtaClient]:
    with client_of(cta) as opened:
        yield opened


def test_folders_of_the_root_are_folders(client: CtaClient) -> None:
    listed = {info.path: info.is_dir for info in client.list_dir("/")}

    assert listed == {"/cta": True, "/lst": True, "/notes": False}


def test_a_tree_comes_with_its_names_as_they_are(cta: FakeCta, client: CtaClient, tmp_path: Path) -> None:
    list(client.list_dir("/"))  # whose answer is from the service itself
    result = client.download_tree("/lst/DL3", tmp_path / "tree")
    names = ("a b#c.fits", "a%20b.fits", "ü.fits", "sub/x.fits")

    assert result.files == 4
    assert [(tmp_path / "tree" / name).read_bytes() for name in names] == [name.encode() for name in names]


@pytest.mark.parametrize("listed", [True, False])
def test_a_name_that_it_cuts_is_refused(listed: bool, client: CtaClient, tmp_path: Path) -> None:
    if listed:
        list(client.list_dir("/lst"))
    for act in (client.stat, client.read, lambda path: client.download(path, tmp_path / "target")):
        with pytest.raises(UnsupportedError, match="cuts a name"):
            act("/lst/q?x")


def test_an_upload_is_refused_with_the_door_as_the_way(client: CtaClient, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(b"sent")

    with pytest.raises(UnsupportedError, match="--backend webdav"):
        client.upload(tmp_path / "sent", f"{HOME}/new/sent")


def test_a_client_of_webdav4_refuses_a_name_that_it_cuts(cta: FakeCta) -> None:
    with webdav4_client(Config.from_mapping(cta.service_settings())) as client:
        with pytest.raises(UnsupportedError, match="cuts a name"):
            client.info("lst/q?x")

        assert client.content_length("lst/q") == 3
