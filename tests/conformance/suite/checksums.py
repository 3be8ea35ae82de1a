"""Checksums: told by a listing, told when asked, computed."""

import hashlib
import zlib
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, UnsupportedError
from ctadata_providers.backends import Backend, ChecksumBackend
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage

CONTENT = b"The quick brown fox jumps over the lazy dog" * 1000
ADLER32 = f"{zlib.adler32(CONTENT):08x}"
RIGHT = {
    "adler32": ADLER32,
    "md5": hashlib.md5(CONTENT).hexdigest(),
    "sha-256": hashlib.sha256(CONTENT).hexdigest(),
}
TOLD = {"adler32": Feature.ADLER32, "md5": Feature.MD5, "sha-256": Feature.SHA256}


@feature(Feature.CHECKSUM_LISTED)
def test_a_listing_tells_the_checksum_of_each_file(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    (local / "sent").write_bytes(CONTENT)
    client.upload(local / "sent", f"{folder}/f")
    (listed,) = client.list_dir(folder)

    assert listed.checksums == client.stat(f"{folder}/f").checksums == {"adler32": ADLER32}


@feature(TOLD)
@pytest.mark.parametrize("name", RIGHT)
def test_the_server_tells_a_checksum_when_asked(
    storage: Storage, client: CtaClient, backend: Backend, folder: str, local: Path, name: str
) -> None:
    (local / "sent").write_bytes(CONTENT)
    client.upload(local / "sent", f"{folder}/f")
    told = backend.checksum(f"{folder}/f", name) if isinstance(backend, ChecksumBackend) else {}

    assert told.get(name) == RIGHT[name]


@feature(Feature.CHECKSUM)
@pytest.mark.parametrize("name", RIGHT)
def test_no_server_tells_a_wrong_checksum(storage: Storage, backend: Backend, folder: str, name: str) -> None:
    """It may tell another algorithm than it was asked for, or none."""
    storage.put(f"{folder}/f", CONTENT)
    told = {**backend.stat(f"{folder}/f").checksums}
    if isinstance(backend, ChecksumBackend):
        told |= backend.checksum(f"{folder}/f", name)

    assert set(told.items()) <= set(RIGHT.items())


@feature(Feature.CHECKSUM)
def test_checksums_are_those_of_the_content(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f", CONTENT)
    storage.put(f"{folder}/empty", b"")

    assert client.checksum(f"{folder}/f") == ADLER32
    assert client.checksum(f"{folder}/empty") == "00000001"
    assert client.checksum(f"{folder}/f", "md5") == RIGHT["md5"]
    assert client.checksum(f"{folder}/f", "SHA1") == hashlib.sha1(CONTENT).hexdigest()
    assert client.checksum(f"{folder}/f", "sha256") == RIGHT["sha-256"]
    with pytest.raises(UnsupportedError, match="bogus"):
        client.checksum(f"{folder}/f", "bogus")


@feature(Feature.CHECKSUM)
def test_a_replaced_file_has_a_new_checksum(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/f", b"old")
    before = client.checksum(f"{folder}/f")
    (local / "sent").write_bytes(CONTENT)
    client.upload(local / "sent", f"{folder}/f")

    assert before == f"{zlib.adler32(b'old'):08x}"
    assert client.checksum(f"{folder}/f") == ADLER32


@feature(Feature.REQUIRED)
def test_a_transfer_can_require_a_checksum(storage: Storage, folder: str, local: Path) -> None:
    (local / "sent").write_bytes(CONTENT)
    with storage.client(checksum="require") as strict:
        strict.upload(local / "sent", f"{folder}/f")
        strict.download(f"{folder}/f", local / "received")

    assert (local / "received").read_bytes() == CONTENT
