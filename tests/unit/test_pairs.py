"""What two trees have under the same names."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import CtaClient, NotFoundError, TransientError
from ctadata_providers.backends import FileInfo
from ctadata_providers.backends.memory import MemoryBackend
from ctadata_providers.patterns import Selection
from ctadata_providers.testing import FakeCta
from ctadata_providers.transfer import LocalEntry
from ctadata_providers.transfer.trees.pairs import Pair, pairs
from tests.unit.two_trees import TOP, client, local, plant, sow

__all__ = ["client", "local"]


def walked(client: CtaClient, local: Path, **options: Any) -> list[str]:
    """Walk, and show each pair as its path and where it is."""
    found = pairs(client._transfers.backend, local, TOP, **options)
    return [f"{pair.relative}:{'h' if pair.local else ''}{'t' if pair.remote else ''}" for pair in found]


def test_pairs_come_in_the_order_of_their_paths(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"b": b"", "a/z": b"", "a/b/c": b"", "a-b": b"", "only here/f": b""})
    sow(fake_cta, {"b": b"", "a/z": b"", "a/b/d": b"", "a.b": b"", "only there/f": b""})

    assert walked(client, local) == [
        ":ht",
        "a:ht",
        "a/b:ht",
        "a/b/c:h",
        "a/b/d:t",
        "a/z:ht",
        "a-b:h",
        "a.b:t",
        "b:ht",
        "only here:h",
        "only here/f:h",
        "only there:t",
        "only there/f:t",
    ]


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("local", ["only here:h", "only here/f:h", "only there:t"]),
        ("remote", ["only here:h", "only there:t", "only there/f:t"]),
    ],
)
def test_a_folder_of_the_target_alone_is_not_looked_into(
    source: Any, seen: list[str], client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    plant(local, {"only here/f": b""})
    sow(fake_cta, {"only there/f": b""})

    assert walked(client, local, source=source)[1:] == seen


def test_only_the_target_may_be_missing(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"f": b""})

    assert walked(client, local, source="local") == [":h", "f:h"]
    for source in ("remote", None):
        with pytest.raises(NotFoundError):
            walked(client, local, source=source)
    sow(fake_cta, {"g": b""})
    assert walked(client, local / "none", source="remote") == [":t", "g:t"]
    for source in ("local", None):
        with pytest.raises(NotFoundError):
            walked(client, local / "none", source=source)


def test_an_excluded_folder_is_not_even_listed(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    sow(fake_cta, {"tmp/f": b"", "n/f": b"", "n/g.fits": b""})
    selection = Selection(include=("*.fits",), exclude=("tmp/",))
    seen = walked(client, local, selection=selection)

    assert seen == [":ht", "n:t", "n/g.fits:t"]
    assert [request.path for request in fake_cta.requests] == [TOP, f"{TOP}/n"]


def test_a_file_and_a_folder_of_one_name_clash() -> None:
    pair = Pair("x", LocalEntry("x", is_dir=False, size=1, mtime=None), FileInfo("/x", is_dir=True))

    assert (pair.clash, pair.is_dir) == (True, False)


def test_a_folder_that_cannot_be_listed_is_told_and_passed_over(local: Path) -> None:
    class Broken(MemoryBackend):
        def list_dir(self, path: str) -> Iterator[FileInfo]:
            if path.endswith("/b"):
                raise TransientError("the listing broke off", path=path)
            return super().list_dir(path)

    backend = Broken()
    for path in ("/lst", TOP, *(f"{TOP}/{name}" for name in "abc"), f"{TOP}/c/d"):
        backend.make_dir(path)
    told: list[tuple[str, str]] = []
    seen = [
        pair.relative
        for pair in pairs(backend, local, TOP, on_error=lambda path, error: told.append((path, error.message)))
    ]

    assert seen == ["", "a", "b", "c", "c/d"]
    assert told == [("b", "the listing broke off")]
    with pytest.raises(TransientError):
        list(pairs(backend, local, TOP))


def test_closing_the_walk_ends_its_threads(local: Path) -> None:
    backend = MemoryBackend()
    backend.make_dir("/lst")
    backend.make_dir(TOP)
    for number in range(50):
        backend.make_dir(f"{TOP}/{number}")
    walk = pairs(backend, local, TOP)
    for _ in range(5):
        next(walk)
    walk.close()
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("ctadata-listing") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
