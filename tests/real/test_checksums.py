"""What a real server without checksums is good for."""

import random
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, IntegrityError
from tests.servers.xrootd import xrootd

pytestmark = pytest.mark.real


def test_an_xrootd_without_checksums_takes_and_gives_large_files(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(random.Random(5).randbytes(2_000_000))
    with xrootd(checksums=False) as server, CtaClient(door_url=server.url, retries=0) as client:
        client.upload(source, "/a")
        client.download("/a", target)
        with CtaClient(door_url=server.url, retries=0, checksum="require") as strict, pytest.raises(IntegrityError):
            strict.download("/a", tmp_path / "other")

    assert target.read_bytes() == source.read_bytes()
    assert not (tmp_path / "other").exists()
