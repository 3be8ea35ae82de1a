"""What arrives is what was sent, or an error: on storages that offer other checksums, none, or wrong ones."""

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, IntegrityError, IsADirError, StorageError
from ctadata_providers.backends import FileInfo, ReadResult
from ctadata_providers.backends.memory import MemoryBackend
from ctadata_providers.session.futures import Future
from ctadata_providers.session.request import Sink
from ctadata_providers.session.tasks import run
from ctadata_providers.transfer import Context, download, upload

DATA = b"0123456789"
BIG = b"x" * (2 * 1024 * 1024)
RIGHT = {
    "adler32": f"{zlib.adler32(DATA):08x}",
    "md5": hashlib.md5(DATA).hexdigest(),
    "sha-256": hashlib.sha256(DATA).hexdigest(),
}
WRONG = {"adler32": "0badbad0", "md5": "0" * 32, "sha-256": "0" * 64}


class Liar(MemoryBackend):
    """A storage in memory that tells what it is told to tell."""

    def __init__(self) -> None:
        super().__init__()
        self.offered: Mapping[str, str] = {}
        self.told: dict[str, Any] = {}
        self.encrypted = True
        self.asked = 0
        self.reads = 0

    def stat(self, path: str) -> FileInfo:
        return replace(super().stat(path), **self.told)

    def checksum(self, path: str, algorithm: str) -> Mapping[str, str]:
        self.asked += 1
        return self.offered

    def read(self, path: str, sink: Sink, **options: Any) -> Future[ReadResult]:
        self.reads += 1
        done = super().read(path, sink, **options).result()
        future: Future[ReadResult] = Future()
        future.set_result(replace(done, encrypted=self.encrypted))
        return future


class Transfers:
    """Downloads and uploads on a liar."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backend = Liar()
        self.store(DATA)

    def store(self, data: bytes) -> None:
        (self.folder / "sent").write_bytes(data)
        self.upload("sent", checksum="off")

    def context(self, checksum: str) -> Context:
        """Return a context as one has it with an https door, whose pools may be plain http if the storage's are."""
        plain = not self.backend.encrypted
        config = Config.from_mapping({"checksum": checksum, "retries": 0, "allow_http_pools": plain})
        return replace(Context.of(self.backend, config), cleaner=self.backend)

    def download(self, *, checksum: str = "auto") -> Mapping[str, str]:
        info = self.backend.stat("/f")
        return run(download(self.context(checksum), info, self.folder / "received")).checksums

    def upload(self, name: str, *, checksum: str = "auto", target: str = "/f") -> None:
        run(upload(self.context(checksum), self.folder / name, target))

    @property
    def local(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    @property
    def remote(self) -> list[str]:
        return sorted(info.name for info in self.backend.list_dir("/"))


@pytest.fixture
def transfers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Transfers:
    """A liar that holds `/f`, and a local folder with `sent`."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "local"
    folder.mkdir()
    return Transfers(folder)


@pytest.mark.parametrize("algorithm", sorted(RIGHT))
@pytest.mark.parametrize("mode", ["auto", "require"])
def test_a_checksum_of_the_listing_is_verified_whatever_its_algorithm(
    transfers: Transfers, mode: str, algorithm: str
) -> None:
    transfers.backend.told = {"checksums": {algorithm: RIGHT[algorithm]}}

    assert transfers.download(checksum=mode) == {algorithm: RIGHT[algorithm]}
    assert transfers.backend.asked == 0

    transfers.backend.told = {"checksums": {algorithm: WRONG[algorithm]}}
    (transfers.folder / "received").unlink()
    with pytest.raises(IntegrityError, match=algorithm):
        transfers.download(checksum=mode)

    assert transfers.local == ["sent"]


@pytest.mark.parametrize("algorithm", sorted(WRONG))
def test_where_one_is_required_no_wrong_checksum_passes_whatever_its_algorithm(
    transfers: Transfers, algorithm: str
) -> None:
    transfers.backend.offered = {algorithm: WRONG[algorithm]}
    with pytest.raises(IntegrityError):
        transfers.download(checksum="require")
    with pytest.raises(IntegrityError):
        transfers.upload("sent", checksum="require", target="/g")

    assert transfers.local == ["sent"]
    assert transfers.remote == ["f"]


def test_where_one_is_required_and_offered_it_is_asked_for(transfers: Transfers) -> None:
    transfers.backend.offered = RIGHT

    assert transfers.download(checksum="require") == {"adler32": RIGHT["adler32"]}
    assert transfers.backend.asked == 1


def test_where_one_is_required_and_none_offered_it_is_an_error(transfers: Transfers) -> None:
    with pytest.raises(IntegrityError, match="required"):
        transfers.download(checksum="require")
    with pytest.raises(IntegrityError, match="required"):
        transfers.upload("sent", checksum="require", target="/g")

    assert transfers.local == ["sent"]
    assert transfers.remote == ["f"]


def test_a_small_file_is_not_worth_a_request_for_its_checksum(transfers: Transfers) -> None:
    transfers.download()
    small = transfers.backend.asked
    transfers.store(BIG)
    transfers.download()

    assert (small, transfers.backend.asked) == (0, 1)


def test_a_wrong_checksum_of_a_large_file_is_found(transfers: Transfers) -> None:
    transfers.store(BIG)
    transfers.backend.offered = WRONG
    with pytest.raises(IntegrityError, match="adler32"):
        transfers.download()
    with pytest.raises(IntegrityError, match="adler32"):
        transfers.upload("sent", target="/g")

    assert transfers.local == ["sent"]
    assert transfers.remote == ["f"]


def test_off_looks_at_the_size_only(transfers: Transfers) -> None:
    transfers.store(BIG)
    transfers.backend.offered = WRONG
    transfers.backend.told = {"checksums": WRONG}

    transfers.download(checksum="off")

    assert (transfers.folder / "received").read_bytes() == BIG
    assert transfers.backend.asked == 0


@pytest.mark.parametrize("mode", ["auto", "require", "off"])
@pytest.mark.parametrize("offered", [{}, WRONG, {"md5": WRONG["md5"]}], ids=["none", "wrong", "other"])
def test_bytes_over_plain_http_need_a_checksum_in_every_mode(
    transfers: Transfers, mode: str, offered: dict[str, str]
) -> None:
    transfers.backend.encrypted = False
    transfers.backend.offered = offered
    with pytest.raises(IntegrityError):
        transfers.download(checksum=mode)

    assert transfers.local == ["sent"]


@pytest.mark.parametrize("mode", ["auto", "require", "off"])
def test_bytes_over_plain_http_with_the_right_checksum_are_good(transfers: Transfers, mode: str) -> None:
    transfers.backend.encrypted = False
    transfers.backend.offered = RIGHT
    transfers.download(checksum=mode)

    assert (transfers.folder / "received").read_bytes() == DATA
    assert transfers.backend.asked == 1


@pytest.mark.parametrize("size", [0, len(DATA) - 1, len(DATA) + 1])
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_another_size_than_the_listings_is_an_integrity_error_and_leaves_nothing(
    transfers: Transfers, mode: str, size: int
) -> None:
    transfers.backend.told = {"size": size}
    with pytest.raises(IntegrityError, match=str(size)):
        transfers.download(checksum=mode)
    with pytest.raises(IntegrityError):
        transfers.upload("sent", target="/g", checksum=mode)

    assert transfers.local == ["sent"]
    assert transfers.remote == ["f"]


def test_a_download_of_unknown_size_is_good(transfers: Transfers) -> None:
    transfers.backend.told = {"size": None}
    transfers.download()

    assert (transfers.folder / "received").read_bytes() == DATA


@pytest.mark.parametrize("locality", ["NEARLINE", "UNAVAILABLE", "LOST"])
def test_what_is_not_on_disk_is_told_at_once_and_not_asked_for(transfers: Transfers, locality: str) -> None:
    transfers.backend.told = {"locality": locality}
    with pytest.raises(StorageError, match=locality):
        transfers.download()

    assert transfers.backend.reads == 0
    assert transfers.local == ["sent"]


@pytest.mark.parametrize("locality", ["ONLINE", "ONLINE_AND_NEARLINE", None])
def test_what_is_on_disk_is_downloaded(transfers: Transfers, locality: str | None) -> None:
    transfers.backend.told = {"locality": locality}
    transfers.download()

    assert transfers.backend.reads == 1


def test_a_folder_is_no_file_even_if_a_listing_says_its_size(transfers: Transfers) -> None:
    transfers.backend.told = {"is_dir": True, "size": 4096}
    with pytest.raises(IsADirError):
        transfers.download()

    assert transfers.local == ["sent"]


def test_a_file_that_grows_or_shrinks_while_it_is_uploaded_is_not_stored(transfers: Transfers) -> None:
    path = transfers.folder / "growing"
    for change in (lambda: path.write_bytes(BIG + b"more"), lambda: path.write_bytes(b"less")):
        path.write_bytes(BIG)
        changes = [change]

        def progress(_: int, changes: list[Any] = changes) -> None:
            if changes:
                changes.pop()()

        with pytest.raises(IntegrityError, match="changed"):
            run(upload(transfers.context("auto"), path, "/g", progress=progress))

    assert transfers.remote == ["f"]
