"""What killed transfers have left: found, and removed when it is old enough."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from ctadata_providers import (
    Config,
    ConfigError,
    CtaClient,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
)
from ctadata_providers.backends import FileInfo
from ctadata_providers.backends.memory import MemoryBackend
from ctadata_providers.testing import FakeCta
from ctadata_providers.transfer import Context
from ctadata_providers.transfer.cleaning import CleanResult, clean, clean_local
from ctadata_providers.transfer.names import address_hash, part_name
from ctadata_providers.transfer.notes import abandoned, noted, remember, state_folder, under_way
from ctadata_providers.transfer.parts import owners

DAY = 86400.0


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def client(fake_cta: FakeCta) -> Iterator[CtaClient]:
    with CtaClient(Config(**fake_cta.settings(), retries=1)) as opened:  # type: ignore[arg-type]  # a mapping of settings
        yield opened


def fates(result: CleanResult) -> dict[str, str]:
    return {part.path: part.fate for part in result.parts}


class Dated(MemoryBackend):
    """A server with times of its own: days since the last change, by name; None for no time."""

    def __init__(self, files: dict[str, float | None]) -> None:
        super().__init__()
        self._ages = files
        client = CtaClient(backend="memory")
        client._context = Context.of(self, Config(backend="memory"))
        for path in files:
            folder = path.rpartition("/")[0]
            client.make_dir(folder or "/", parents=True)
            if not path.endswith("/"):
                self.write(path, Empty(), size=0, overwrite=True)

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        for info in super().list_dir(path):
            age = self._ages.get(info.path + "/" if info.is_dir else info.path, 0.0)
            when = (
                None if age is None else time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(self.now() - age * DAY))
            )
            yield replace(info, modified=when)

    def now(self) -> float:
        return time.time()

    @property
    def names(self) -> set[str]:
        return {path for path, node in self._nodes.items() if node.data is not None}


class Empty:
    """No bytes."""

    def read(self, size: int, /) -> bytes:
        return b""

    def rewind(self) -> None: ...


def cleaned(backend: MemoryBackend, path: str = "/lst", **options: Any) -> CleanResult:
    return clean(Context.of(backend, Config(backend="memory")), path, **{"older_than": DAY, **options})


def test_old_parts_are_removed_and_nothing_else() -> None:
    backend = Dated(
        {"/lst/.a.ctapart": 2, "/lst/n/.b.ctapart": 9, "/lst/n/.c.ctapart": 0.5, "/lst/n/d": 9, "/lst/.e": 9}
    )
    dry = cleaned(backend, dry_run=True)
    before = backend.names
    result = cleaned(backend)

    assert dry == result
    assert len(before) == 5
    assert fates(result) == {"/lst/.a.ctapart": "removed", "/lst/n/.b.ctapart": "removed", "/lst/n/.c.ctapart": "young"}
    assert [part.path for part in result.removed] == ["/lst/.a.ctapart", "/lst/n/.b.ctapart"]
    assert backend.names == {"/lst/n/.c.ctapart", "/lst/n/d", "/lst/.e"}


def test_a_part_without_a_time_stays_and_is_told() -> None:
    backend = Dated({"/lst/.a.ctapart": None, "/lst/.b.ctapart/": 9, "/lst/.b.ctapart/x": None})
    result = cleaned(backend, older_than=0)

    assert fates(result) == {"/lst/.a.ctapart": "undated", "/lst/.b.ctapart": "undated"}
    assert backend.names == {"/lst/.a.ctapart", "/lst/.b.ctapart/x"}


def test_a_folder_that_was_being_filled_is_as_young_as_the_newest_in_it() -> None:
    backend = Dated(
        {
            "/lst/.old.ctapart/": 9,
            "/lst/.old.ctapart/deep/": 9,
            "/lst/.old.ctapart/deep/x": 8,
            "/lst/.old.ctapart/.y.ctapart": 7,
            "/lst/.live.ctapart/": 9,
            "/lst/.live.ctapart/deep/": 9,
            "/lst/.live.ctapart/deep/x": 0.1,
            "/lst/.live.ctapart/.y.ctapart": 7,
        }
    )
    result = cleaned(backend)

    assert fates(result) == {"/lst/.live.ctapart": "young", "/lst/.old.ctapart": "removed"}
    assert backend.names == {"/lst/.live.ctapart/deep/x", "/lst/.live.ctapart/.y.ctapart"}


def test_a_clock_that_is_wrong_here_removes_nothing_young() -> None:
    class Behind(Dated):
        def now(self) -> float:
            return time.time() - 30 * DAY

        def clock_ahead(self) -> float:
            return -30 * DAY

    backend = Behind({"/lst/.young.ctapart": 0.5, "/lst/.old.ctapart": 2})

    assert fates(cleaned(backend)) == {"/lst/.old.ctapart": "removed", "/lst/.young.ctapart": "young"}


def test_a_part_from_the_future_is_young() -> None:
    assert fates(cleaned(Dated({"/lst/.a.ctapart": -1}), older_than=0)) == {"/lst/.a.ctapart": "young"}


def test_a_folder_that_cannot_be_listed_keeps_its_part_and_is_told() -> None:
    class Shut(Dated):
        def list_dir(self, path: str) -> Iterator[FileInfo]:
            if path.endswith("/shut"):
                raise StorageError("it is shut", path=path)
            return super().list_dir(path)

    backend = Shut({"/lst/.a.ctapart/": 9, "/lst/.a.ctapart/shut/x": 9, "/lst/shut/": 9, "/lst/.b.ctapart": 9})
    result = cleaned(backend)

    assert fates(result) == {"/lst/.a.ctapart": "undated", "/lst/.b.ctapart": "removed"}
    assert [failure.path for failure in result.failures] == ["/lst/.a.ctapart/shut", "/lst/shut"]


def test_a_part_that_cannot_be_removed_is_told_and_the_others_go() -> None:
    class Guarded(Dated):
        def remove(self, path: str, *, is_file: bool = False) -> None:
            if path == "/lst/.a.ctapart":
                raise StorageError("not this one", path=path)
            super().remove(path, is_file=is_file)

    backend = Guarded({"/lst/.a.ctapart": 9, "/lst/.b.ctapart": 9})
    result = cleaned(backend)

    assert [failure.path for failure in result.failures] == ["/lst/.a.ctapart"]
    assert backend.names == {"/lst/.a.ctapart"}


def test_no_folder_right_below_the_root_is_removed_with_what_it_holds() -> None:
    backend = Dated({"/.a.ctapart/": 9, "/.a.ctapart/x": 9, "/.b.ctapart": 9})
    result = cleaned(backend, "/")

    assert [failure.path for failure in result.failures] == ["/.a.ctapart"]
    assert backend.names == {"/.a.ctapart/x"}


@pytest.mark.parametrize("older_than", [-1.0, float("nan"), float("inf")])
def test_what_is_no_time_is_refused(older_than: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        cleaned(Dated({}), older_than=older_than)
    with pytest.raises(ConfigError):
        clean_local(tmp_path, older_than=older_than)


def test_a_missing_folder_and_a_file_are_errors(client: CtaClient, fake_cta: FakeCta, tmp_path: Path) -> None:
    fake_cta.put("/lst/f", b"1")
    with pytest.raises(NotFoundError):
        client.clean("lst/none")
    with pytest.raises(NotADirError):
        client.clean("lst/f")
    (tmp_path / "f").write_bytes(b"1")
    with pytest.raises(NotFoundError):
        clean_local(tmp_path / "none", older_than=DAY)
    with pytest.raises(NotADirError):
        clean_local(tmp_path / "f", older_than=DAY)


# Uploads under way


@contextmanager
def another_process() -> Iterator[str]:
    """Have another process of this machine live, and tell it as the owner of what it uploads."""
    program = "from ctadata_providers.transfer.parts import owners; print(owners.this_owner(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=PIPE, stdout=PIPE, text=True) as living:
        assert living.stdout is not None
        try:
            yield living.stdout.readline().strip()
        finally:
            living.kill()


@pytest.fixture
def dead() -> str:
    """The owner that a process was that has ended."""
    with another_process() as owner:
        return owner


def leave(client: CtaClient, fake_cta: FakeCta, target: str, *, owner: str) -> Path:
    """Leave what an upload of some process leaves: a part at the server and a note here."""
    door = client._transfers.door
    folder, _, name = target.rpartition("/")
    path = f"{folder}/{part_name(name, door + target)}"
    fake_cta.put(path, b"partial")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(owners, "this_owner", lambda: owner)
        remembered = remember(door, target, path)
        remembered.end()
    assert remembered.note is not None
    return remembered.note


def test_the_upload_of_a_living_process_of_this_host_stays(client: CtaClient, fake_cta: FakeCta) -> None:
    with another_process() as living:
        note = leave(client, fake_cta, "/lst/n/f", owner=living)
        leave(client, fake_cta, "/lst/.n.ctapart/f", owner=living)
        during = client.clean("lst", older_than=0)
    seen = note.exists()
    after = client.clean("lst", older_than=0)

    assert set(fates(during).values()) == {"under way"}
    assert len(during.parts) == 2
    assert seen
    assert set(fates(after).values()) == {"removed"}
    assert fake_cta.paths() == []
    assert list(state_folder().iterdir()) == []


def test_a_living_upload_stays_also_when_it_goes_through_another_door(client: CtaClient, fake_cta: FakeCta) -> None:
    with another_process() as living:
        note = leave(client, fake_cta, "/lst/n/f", owner=living)
        fields = json.loads(note.read_text())
        fields |= {"door": "https://alias.example/lst", "path": fields["path"].removeprefix("/lst")}
        note.write_text(json.dumps(fields))
        result = client.clean("lst", older_than=0)

    assert list(fates(result).values()) == ["under way"]
    assert note.exists()


def test_an_upload_of_another_host_goes_by_its_age(client: CtaClient, fake_cta: FakeCta, dead: str) -> None:
    note = leave(client, fake_cta, "/lst/n/f", owner="00000000" + dead[8:])
    young = client.clean("lst")
    old = client.clean("lst", older_than=0)

    assert set(fates(young).values()) == {"young"}
    assert set(fates(old).values()) == {"removed"}
    assert not note.exists()


def test_a_dry_run_forgets_nothing(client: CtaClient, fake_cta: FakeCta, dead: str) -> None:
    note = leave(client, fake_cta, "/lst/n/f", owner=dead)
    fake_cta.clear_requests()
    result = client.clean("lst", older_than=0, dry_run=True)

    assert set(fates(result).values()) == {"removed"}
    assert note.exists()
    assert {request.method for request in fake_cta.requests} == {"PROPFIND"}


def test_an_upload_of_this_process_stays_while_it_runs(client: CtaClient, fake_cta: FakeCta, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(os.urandom(3_000_000))
    results: list[CleanResult] = []

    def clean_once(size: int) -> None:
        if not results and size > 0 and [path for path in fake_cta.paths() if path.endswith(".ctapart")]:
            thread = threading.Thread(target=lambda: results.append(client.clean("lst", older_than=0)))
            thread.start()
            thread.join(10)

    fake_cta.make_dir("/lst")
    client.upload(tmp_path / "f", "lst/f", progress=clean_once)

    assert [list(fates(result).values()) for result in results] == [["under way"]]
    assert fake_cta.get("/lst/f") == (tmp_path / "f").read_bytes()
    assert noted(client._transfers.door) == []


def test_notes_that_mean_nothing_are_passed_over(client: CtaClient, fake_cta: FakeCta, dead: str) -> None:
    state_folder().mkdir(parents=True)
    door = client._transfers.door
    whole = {"door": door, "target": "/lst/f", "path": "/lst/.f.ctapart", "owner": "nobody"}
    texts = ["", "[]", "{}", '{"door": 1}', json.dumps(whole), json.dumps(whole | {"path": "/lst/f", "owner": dead})]
    for number, text in enumerate(texts):
        (state_folder() / f"{address_hash(door + '/lst/f')}.{number}.json").write_text(text)

    assert noted(door) == abandoned(door, "/lst/f") == []
    assert under_way() == []


# Local


def age(path: Path, days: float) -> None:
    when = time.time() - days * DAY
    os.utime(path, (when, when), follow_symlinks=False)


def test_what_cannot_be_looked_at_is_told_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [tmp_path / "shut" / ".a.ctapart", tmp_path / ".b.ctapart", tmp_path / ".c.ctapart" / "shut" / "x"]
    for path in [*parts, tmp_path / "shut" / "other"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    lstat = os.lstat

    def refusing(path: Any, **options: Any) -> os.stat_result:  # as for all but root
        if Path(path).parent.name == "shut":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return lstat(path, **options)

    monkeypatch.setattr(os, "lstat", refusing)
    result = clean_local(tmp_path, older_than=0)

    assert [(failure.path, type(failure.error)) for failure in result.failures] == [
        (str(parts[0]), PermissionDeniedError)
    ]
    assert fates(result) == {str(parts[1]): "removed", str(parts[2].parent.parent): "undated"}
    assert [path.is_file() for path in parts] == [True, False, True]


def test_local_parts_are_removed_by_their_age(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for name in (".a.ctapart", "n/.b.ctapart", "n/.c.ctapart", "n/keep", "n/.d.ctapart/x", "n/.e.ctapart/deep/x"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"12345")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".f.ctapart").write_bytes(b"1")
    (root / "link").symlink_to(outside)
    (root / ".g.ctapart").symlink_to(outside)
    for path in [*root.rglob("*"), *root.rglob(".*"), outside / ".f.ctapart"]:
        age(path, 9)
    age(root / "n/.c.ctapart", 0.5)
    age(root / "n/.d.ctapart/x", 0.5)
    dry = clean_local(root, older_than=DAY, dry_run=True)
    before = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    result = clean_local(root, older_than=DAY)

    assert dry == result
    assert len(before) == 12
    assert {str(Path(path).relative_to(root)): fate for path, fate in fates(result).items()} == {
        ".a.ctapart": "removed",
        ".g.ctapart": "removed",
        "n/.b.ctapart": "removed",
        "n/.c.ctapart": "young",
        "n/.d.ctapart": "young",
        "n/.e.ctapart": "removed",
    }
    assert [part.size for part in result.removed if part.path.endswith(("b.ctapart", "e.ctapart"))] == [5, 5]
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == [
        "link",
        "n",
        "n/.c.ctapart",
        "n/.d.ctapart",
        "n/.d.ctapart/x",
        "n/keep",
    ]
    assert (outside / ".f.ctapart").exists()


def test_a_killed_download_leaves_what_is_then_cleaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "served" / "lst").mkdir(parents=True)
    with (tmp_path / "served" / "lst" / "f").open("wb") as file:
        file.truncate(2**28)
    with FakeCta(root=tmp_path / "served") as cta:
        environ = {**os.environ, **cta.environ()}
        command = [sys.executable, "-m", "ctadata_providers.cli", "get", "--checksum", "off", "lst/f", "f"]
        (tmp_path / "here").mkdir()
        with subprocess.Popen(command, cwd=tmp_path / "here", env=environ) as process:
            while process.poll() is None and not list((tmp_path / "here").glob(".*.ctapart")):
                time.sleep(0.01)
            process.kill()
    left = list((tmp_path / "here").iterdir())
    young = clean_local(tmp_path / "here", older_than=DAY)
    old = clean_local(tmp_path / "here", older_than=0)

    assert len(left) == 1
    assert (set(fates(young).values()), set(fates(old).values())) == ({"young"}, {"removed"})
    assert list((tmp_path / "here").iterdir()) == []
