"""Trees on both sides: made alike, compared, freed of what was left."""

import os
import time
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, NotADirError
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage
from tests.conformance.suite.trees import plant, tree

FILES = {"a": b"1", "night 1/run #1.fits": os.urandom(2000), "night 1/deep/b": b"22", "z": b""}


@feature(Feature.SYNC)
def test_a_sync_up_settles(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    plant(local, FILES)
    (local / "empty").mkdir()
    copied = [client.sync(local, f"cta:/{folder}").copied for _ in range(2)]

    assert copied == [4, 0]
    assert storage.tree(folder) == FILES
    assert client.stat(f"{folder}/empty").is_dir


@feature(Feature.SYNC)
def test_a_sync_down_settles(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    for name, data in FILES.items():
        storage.put(f"{folder}/{name}", data)
    copied = [client.sync(f"cta:/{folder}", local / "copy").copied for _ in range(2)]

    assert copied == [4, 0]
    assert tree(local / "copy") == FILES


@feature(Feature.SYNC)
def test_a_sync_copies_what_has_changed_since(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    plant(local, FILES)
    client.sync(local, f"cta:/{folder}")
    plant(local, {"a": b"2", "z": b"longer"})
    os.utime(local / "a", (time.time() + 60,) * 2)
    up = client.sync(local, f"cta:/{folder}")
    for name in FILES:  # else those that a second passed before they were sent are older here than there
        os.utime(local / name, (time.time() + 60,) * 2)
    storage.put(f"{folder}/night 1/deep/b", b"changed")
    down = client.sync(f"cta:/{folder}", local)

    assert (up.copied, up.unchanged) == (2, 2)
    assert (down.copied, down.unchanged) == (1, 3)
    assert storage.tree(folder) == tree(local) == {**FILES, "a": b"2", "z": b"longer", "night 1/deep/b": b"changed"}


@feature(Feature.SYNC)
def test_a_sync_removes_only_when_asked_and_what_is_not_left_out(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    plant(local, {"a": b"1"})
    for name in ("a", "old/x/y", "old/z", "logs/l"):
        storage.put(f"{folder}/{name}", b"1")
    dry = client.sync(local, f"cta:/{folder}", compare="size", delete=True, exclude=["logs/"], dry_run=True)
    before = storage.tree(folder)
    result = client.sync(local, f"cta:/{folder}", compare="size", delete=True, exclude=["logs/"])

    assert [change.path for change in dry.changes] == ["old/x/y", "old/z", "old/x", "old"]
    assert len(before) == 4
    assert (result.copied, result.removed) == (0, 4)
    assert storage.tree(folder) == {"a": b"1", "logs/l": b"1"}
    assert not client.exists(f"{folder}/old")


@feature(Feature.SYNC)
def test_a_sync_from_or_to_a_file_is_refused(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/f", b"there")
    for source, target in ((f"cta:/{folder}/f", local), (local, f"cta:/{folder}/f")):
        with pytest.raises(NotADirError):
            client.sync(source, target)

    assert storage.tree(folder) == {"f": b"there"}


@feature(Feature.VERIFY)
def test_verification_finds_what_differs(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    plant(local, FILES)
    client.sync(local, f"cta:/{folder}")
    same = client.verify(local, folder)
    nothing = list(same)
    plant(local, {"a": b"2", "z": b"longer", "here": b""})
    storage.put(f"{folder}/there", b"")

    assert (nothing, same.same) == ([], 4)
    assert [(item.path, item.kind) for item in client.verify(local, folder)] == [
        ("a", "checksum"),
        ("here", "missing there"),
        ("there", "missing here"),
        ("z", "size"),
    ]


@feature(Feature.CLEAN)
def test_parts_are_cleaned_when_they_are_old_enough(storage: Storage, client: CtaClient, folder: str) -> None:
    for name in (".f.1a2b3c4d.0123.ctapart", "deep/.g.1a2b3c4d.0123.ctapart", ".h.0123.ctapart/x", "kept"):
        storage.put(f"{folder}/{name}", b"part")
    young = client.clean(folder)
    before = len(storage.tree(folder))
    old = client.clean(folder, older_than=0)

    assert [part.fate for part in young.parts] == ["young"] * 3
    assert before == 4
    assert [part.fate for part in old.parts] == ["removed"] * 3
    assert storage.tree(folder) == {"kept": b"part"}
