"""Whether two trees, or two files, are the same."""

import os
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import (
    Config,
    ConfigError,
    CredentialError,
    CtaClient,
    NotFoundError,
    StorageError,
    TransientError,
)
from ctadata_providers.backends import FileInfo
from ctadata_providers.backends.memory import MemoryBackend
from ctadata_providers.session.request import Sink
from ctadata_providers.testing import FakeCta
from ctadata_providers.transfer import Context, LocalEntry
from ctadata_providers.transfer.compare import same_by_listing
from ctadata_providers.transfer.trees.verification import Difference, verify_tree
from tests.unit.two_trees import TOP, client, local, methods, plant, sow

__all__ = ["client", "local"]

NOON = "Sun, 22 Nov 2026 12:00:00 GMT"
NOON_SECONDS = 1795348800.0


def entry(size: int | None = 4, mtime: float | None = NOON_SECONDS) -> LocalEntry:
    return LocalEntry("f", is_dir=False, size=size, mtime=mtime)


def info(size: int | None = 4, **known: Any) -> FileInfo:
    return FileInfo("/f", is_dir=False, size=size, **{"modified": NOON, **known})


SUM = {"checksums": {"adler32": "00000001"}}


@pytest.mark.parametrize(
    ("here", "there", "compare", "same"),
    [
        (entry(5), info(), "size", False),
        (entry(), info(None), "size", False),
        (entry(None), info(None), "size", False),
        (entry(), info(), "size", True),
        (entry(0), info(0), "checksum", True),
        (entry(), info(), "checksum", None),
        (entry(), info(**SUM), "auto", None),
        (entry(), info(**SUM), "mtime", True),
        (entry(), info(), "auto", True),
        (entry(), info(checksums={"odd": "1"}), "auto", True),
        (entry(), info(modified=None), "auto", False),
        (entry(mtime=None), info(), "mtime", False),
    ],
)
def test_listings_decide_where_they_can(here: LocalEntry, there: FileInfo, compare: Any, same: bool | None) -> None:
    assert same_by_listing(here, there, compare, uploaded=True) is same
    assert same_by_listing(here, there, compare, uploaded=False) is same


@pytest.mark.parametrize(
    ("offset", "uploaded", "ahead", "same"),
    [
        (0.9, True, 0, True),  # times of servers are cut to the second
        (1.0, True, 0, False),
        (-100, True, 0, True),
        (-0.1, False, 0, False),
        (0.0, False, 0, True),
        (100, False, 0, True),
        (3600, True, -3600, True),
        (3660, True, -3600, False),
        (-3600, True, 3600, True),
        (-3500, True, 3600, False),
        (0.9, True, 1.5, True),  # no more than what the server's clock is told to
        (1.0, True, -1.5, False),
    ],
)
def test_a_copy_is_right_when_it_is_not_older(offset: float, uploaded: bool, ahead: float, same: bool) -> None:
    here = entry(mtime=NOON_SECONDS + offset)

    assert same_by_listing(here, info(), "mtime", uploaded=uploaded, clock_ahead=ahead) is same


def shown(found: Any) -> list[tuple[str, str, str | None, str | None]]:
    return [(item.path, item.kind, item.here, item.there) for item in found]


def test_every_way_to_differ_is_told_in_the_order_of_the_paths(
    client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    plant(local, {"a": b"same", "b/x": b"1", "c/size": b"12", "c/sum": b"old", "d": b"f", "z/deep/here": b"h"})
    sow(fake_cta, {"a": b"same", "b": b"f", "c/size": b"123", "c/sum": b"new", "d/x": b"1", "e/there": b"t"})
    (local / "nowhere").symlink_to("/does/not/exist")
    found = client.verify(local, TOP)

    assert shown(found) == [
        ("b", "kind", "folder", "file"),
        ("c/size", "size", "2", "3"),
        ("c/sum", "checksum", "adler32 028c0140", "adler32 028e014b"),
        ("d", "kind", "file", "folder"),
        ("e", "missing here", None, "folder"),
        ("e/there", "missing here", None, "file"),
        ("nowhere", "error", None, None),
        ("z", "missing there", "folder", None),
        ("z/deep", "missing there", "folder", None),
        ("z/deep/here", "missing there", "file", None),
    ]
    assert (found.same, found.size) == (1, 4)
    assert {request.method for request in fake_cta.requests} == {"PROPFIND"}


def test_what_cannot_be_looked_at_here_is_not_told_as_missing(
    client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    sow(fake_cta, {"a": b"1", "night/x": b"2", "z": b"3"})
    for name in ("a", "night"):
        (local / name).symlink_to("/does/not/exist")

    assert shown(client.verify(local, TOP)) == [
        ("a", "error", None, None),
        ("night", "error", None, None),
        ("z", "missing here", None, "file"),
    ]


def test_the_same_trees_have_no_difference(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    files = {f"{number % 7}/{number}": os.urandom(number) for number in range(100)}
    plant(local, files)
    sow(fake_cta, files)
    found = client.verify(local, f"{TOP}/")

    assert list(found) == []
    assert (found.same, found.size) == (100, sum(range(100)))


def test_by_size_no_byte_is_looked_at(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"f": b"old"})
    sow(fake_cta, {"f": b"new"})

    assert list(client.verify(local, TOP, compare="size")) == []


def test_two_files_are_compared_like_trees(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"f": b"1", "g": b"2"})
    sow(fake_cta, {"f": b"1", "h": b"2"})

    assert shown(client.verify(local / "f", f"{TOP}/f")) == []
    assert shown(client.verify(local / "g", f"{TOP}/f"))[0][:2] == ("f", "checksum")
    assert shown(client.verify(local / "h", f"{TOP}/h")) == [("h", "missing here", None, "file")]
    assert shown(client.verify(local / "f", f"{TOP}/none")) == [("none", "missing there", "file", None)]
    assert shown(client.verify(local, f"{TOP}/f")) == [("f", "kind", "folder", "file")]
    with pytest.raises(NotFoundError):
        list(client.verify(local / "none", f"{TOP}/none"))


def test_patterns_select_what_is_compared(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"a.fits": b"1", "a.log": b"1", "tmp/b.fits": b"1"})
    sow(fake_cta, {"a.fits": b"1"})

    assert shown(client.verify(local, TOP, include=["*.fits"], exclude=["tmp/"])) == []


def test_a_file_that_is_not_selected_where_a_folder_may_hold_what_is_is_a_difference(
    client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    plant(local, {"x/a.fits": b"1", "y": b"file"})
    sow(fake_cta, {"x": b"file", "y/b.fits": b"1"})
    found = list(client.verify(local, TOP, include=["*.fits"]))

    assert [(item.path, item.kind, item.here, item.there) for item in found] == [
        ("x", "kind", "folder", "file"),
        ("y", "kind", "file", "folder"),
    ]


def test_another_way_to_compare_is_refused(client: CtaClient, local: Path) -> None:
    with pytest.raises(ConfigError, match="mtime"):
        client.verify(local, TOP, compare="mtime")


def test_a_refused_token_is_raised_and_no_difference(fake_cta: FakeCta, local: Path) -> None:
    settings = {**fake_cta.settings(), "token": "not.a.verify.token"}
    with CtaClient(Config(**settings)) as client, pytest.raises(CredentialError):  # type: ignore[arg-type]  # settings
        list(client.verify(local, TOP))


class Plain(MemoryBackend):
    """A server without checksums, that has trouble once."""

    def __init__(self, trouble: int = 0) -> None:
        super().__init__()
        self.reads = 0
        self._trouble = trouble

    def checksum(self, path: str, algorithm: str) -> dict[str, str]:
        return {}

    def read(self, path: str, sink: Sink, **options: Any) -> Any:
        self.reads += 1
        future = super().read(path, sink, **options)
        if self.reads <= self._trouble:
            failed: Any = type(future)()
            failed.set_exception(TransientError("the connection broke", path=path))
            return failed
        return future


@pytest.mark.parametrize(("trouble", "reads", "kinds"), [(0, 1, []), (1, 2, []), (9, 2, ["error"])])
def test_without_any_checksum_the_remote_file_is_read_again_after_a_fault(
    trouble: int, reads: int, kinds: list[str], local: Path
) -> None:
    backend = Plain(trouble)
    context = Context.of(backend, Config(backend="memory", retries=1))
    plant(local, {"f": b"data"})
    client = CtaClient(backend="memory")
    client._context = context
    client.upload(local / "f", "/f")
    before, backend.reads = backend.reads, 0
    found = list(verify_tree(context, local / "f", "/f"))

    assert before == 0
    assert [item.kind for item in found] == kinds
    assert backend.reads == reads


def test_a_file_on_tape_is_told_without_reading_either(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tape(Plain):
        def stat(self, path: str) -> FileInfo:
            return FileInfo(path, is_dir=False, size=4, locality="NEARLINE")

    plant(local, {"f": b"data"})
    monkeypatch.delattr(Path, "open")
    backend = Tape()
    (found,) = verify_tree(Context.of(backend, Config(backend="memory")), local / "f", "/f")

    assert (found.kind, backend.reads) == ("error", 0)
    assert "tape" in str(found.error)


@pytest.mark.parametrize("locality", ["NEARLINE", "UNAVAILABLE", "LOST"])
def test_a_checksum_that_would_have_to_be_read_from_tape_is_told_without_reading(
    locality: str, client: CtaClient, fake_cta: FakeCta
) -> None:
    fake_cta.put("/lst/f", b"data")
    fake_cta.set_locality("/lst/f", locality)
    with pytest.raises(StorageError, match=f"cannot read /lst/f: the storage says {locality}"):
        client.checksum("lst/f", "sha-256")

    assert client.checksum("lst/f") == "0400019b"
    assert "GET" not in methods(fake_cta)


def test_a_verification_that_is_closed_stops(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {f"{number:03d}": b"here" for number in range(200)})
    sow(fake_cta, {})
    fake_cta.make_dir(TOP)
    found = client.verify(local, TOP)
    first = next(found)
    found.close()

    assert first == Difference("000", "missing there", "file", None)
    assert list(found) == []
