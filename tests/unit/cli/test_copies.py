"""Downloads and uploads."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.testing import FakeCta

Run = Callable[..., Any]
"""The fixture `ctadata`: runs a command, gives its `code`, `out`, `err`, `lines`, `records`, `error`, `one_line`."""


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["lst/DL3/a.fits"], ["a.fits"]),
        (["lst/DL3/a.fits", "x.fits"], ["x.fits"]),
        (["lst/DL3/a.fits", "new/"], ["new/a.fits"]),
        (["lst/DL3/a.fits", "."], ["a.fits"]),
        (["lst/DL3/a.fits", "lst/DL3/b.fits", "new"], ["new/a.fits", "new/b.fits"]),
        (["cta://lst/DL3/a.fits", "cta://lst/DL3/b.fits"], ["a.fits", "b.fits"]),
        (["lst/DL3/n*", "new"], ["new/notes.txt"]),
        (["-r", "lst/DL3/old", "new"], ["new/c.fits"]),
        (["-r", "lst/DL3/old", "."], ["old/c.fits"]),
        (["-r", "lst/DL3/**", "new"], ["new/a.fits", "new/b.fits", "new/notes.txt", "new/old/c.fits"]),
    ],
)
def test_get_writes_where_cp_would(arguments: list[str], written: list[str], ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("get", *arguments)
    files = {path.as_posix(): path.read_bytes() for path in Path().rglob("*") if path.is_file()}

    assert (ran.code, ran.out) == (0, ""), ran.err
    assert sorted(files) == written
    assert all(content in (b"aaaa", b"bb", b"n", b"cccccc") for content in files.values())


def test_a_name_with_brackets_is_one_file(ctadata: Run, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/run[1].fits", b"1")
    ran = ctadata("get", "lst/run[1].fits", "x.fits")

    assert (ran.code, Path("x.fits").read_bytes()) == (0, b"1")


def test_a_summary_tells_what_was_moved(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("get", "lst/DL3/*.fits", ".")

    assert re.fullmatch(r"downloaded 2 files, 6 B in \d+\.\d s \([\d.]+ k?B/s\)", ran.one_line)
    assert ctadata("get", "-q", "lst/DL3/a.fits").err == ""


def test_get_with_json_tells_each_file_and_sums_up(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("get", "--json", "lst/DL3/a.fits", "x.fits")
    record, last = ran.records
    summary = last["summary"]

    assert ran.err == ""
    assert summary.pop("seconds") >= 0
    assert summary.pop("rate") > 0
    assert summary == {"done": "downloaded", "files": 1, "size": 4, "resumed": 0, "retries": 0, "failed": 0}
    assert record.pop("seconds") >= 0
    assert record == {
        "done": "downloaded",
        "path": "/lst/DL3/a.fits",
        "local": "x.fits",
        "files": 1,
        "size": 4,
        "retries": 0,
        "failed": 0,
    }


def test_one_missing_file_does_not_stop_the_others(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("get", "-q", "lst/DL3/none.fits", "lst/DL3/b.fits", "lst/DL3/old", "new")

    assert ran.code == 1
    assert [line.split()[0] for line in ran.err.splitlines()] == ["ctadata:", "ctadata:"]
    assert "/lst/DL3/none.fits" in ran.err
    assert "/lst/DL3/old is a folder; add -r" in ran.err
    assert [path.name for path in Path("new").iterdir()] == ["b.fits"]


def test_files_of_one_name_do_not_overwrite_each_other(ctadata: Run, night: FakeCta) -> None:
    night.put("/lst/DL3/x/c.fits", b"another")
    ran = ctadata("get", "-q", "lst/DL3/old/c.fits", "lst/DL3/x/c.fits", ".")

    assert ran.code == 1
    assert "c.fits would be written twice" in ran.one_line
    assert Path("c.fits").read_bytes() == b"cccccc"


def test_no_overwrite_leaves_the_old_file(ctadata: Run, night: FakeCta) -> None:
    Path("a.fits").write_bytes(b"mine")
    kept = ctadata("get", "--json", "--no-overwrite", "lst/DL3/a.fits")
    content = Path("a.fits").read_bytes()
    replaced = ctadata("get", "lst/DL3/a.fits")

    assert (kept.code, kept.error["error"], content) == (1, "AlreadyExistsError", b"mine")
    assert (replaced.code, Path("a.fits").read_bytes()) == (0, b"aaaa")


def test_several_files_do_not_go_into_a_file(ctadata: Run, night: FakeCta) -> None:
    Path("x").write_bytes(b"mine")
    ran = ctadata("get", "lst/DL3/*.fits", "x")

    assert ran.code == 1
    assert "x is a file; name a folder" in ran.one_line
    assert Path("x").read_bytes() == b"mine"


@pytest.fixture
def local_files(ctadata: Run) -> None:
    """Files in the working folder."""
    Path("p.png").write_bytes(b"png")
    Path("q.png").write_bytes(b"qqq")
    Path("results/deep").mkdir(parents=True)
    Path("results/deep/t.ecsv").write_bytes(b"table")


@pytest.mark.usefixtures("local_files")
@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["p.png", "lst/new.png"], ["/lst/new.png"]),
        (["p.png", "lst/new/"], ["/lst/new/p.png"]),
        (["p.png", "lst/there"], ["/lst/there/p.png"]),
        (["p.png", "q.png", "cta://lst/new"], ["/lst/new/p.png", "/lst/new/q.png"]),
        (["-r", "results", "lst/new"], ["/lst/new/deep/t.ecsv"]),
        (["-r", "results", "lst/there"], ["/lst/there/results/deep/t.ecsv"]),
        (["-r", "results/.", "lst/new/"], ["/lst/new/results/deep/t.ecsv"]),
    ],
)
def test_put_writes_where_cp_would(arguments: list[str], written: list[str], ctadata: Run, fake_cta: FakeCta) -> None:
    fake_cta.make_dir("/lst/there")
    ran = ctadata("put", *arguments)

    assert (ran.code, ran.out) == (0, ""), ran.err
    assert fake_cta.paths() == written


@pytest.mark.usefixtures("local_files")
def test_a_nameless_folder_is_put_by_its_content(
    ctadata: Run, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("results")
    ran = ctadata("put", "-r", ".", "lst/new/")

    assert (ran.code, fake_cta.paths()) == (0, ["/lst/new/deep/t.ecsv"])


@pytest.mark.usefixtures("local_files")
def test_put_tells_what_is_missing_or_a_folder_and_sends_the_rest(ctadata: Run, fake_cta: FakeCta) -> None:
    ran = ctadata("put", "-q", "none.png", "results", "p.png", "lst/new/")

    assert ran.code == 1
    assert "none.png does not exist on this machine" in ran.err
    assert "results is a folder; add -r" in ran.err
    assert fake_cta.paths() == ["/lst/new/p.png"]


@pytest.mark.usefixtures("local_files")
def test_put_no_overwrite_leaves_the_old_file(ctadata: Run, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/p.png", b"old")
    ran = ctadata("put", "--json", "--no-overwrite", "p.png", "lst/")

    assert (ran.code, ran.error["error"]) == (1, "AlreadyExistsError")
    assert fake_cta.get("/lst/p.png") == b"old"


@pytest.mark.usefixtures("local_files")
def test_put_of_several_files_does_not_go_into_a_file(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("put", "p.png", "q.png", "lst/DL3/a.fits")

    assert ran.code == 1
    assert "/lst/DL3/a.fits is a file; name a folder" in ran.one_line
    assert night.get("/lst/DL3/a.fits") == b"aaaa"


def test_an_empty_name_is_not_the_folder_where_one_is(ctadata: Run, night: FakeCta) -> None:
    before = night.paths()
    Path("mine").write_bytes(b"mine")
    ran = ctadata("put", "-r", "--json", "", "lst/DL3/")

    assert (ran.code, ran.error["error"]) == (1, "NotFoundError")
    assert night.paths() == before


def test_the_error_that_stops_all_is_counted_in_the_summary(ctadata: Run, night: FakeCta) -> None:
    Path("new").mkdir()
    Path("new/b.fits").write_bytes(b"mine")
    ran = ctadata(
        "get", "--json", "--no-overwrite", "--on-error", "stop", "--max-parallel", "1", "lst/DL3/*.fits", "new"
    )
    *_, last = ran.records

    assert (ran.code, ran.error["error"]) == (1, "AlreadyExistsError")
    assert (last["summary"]["files"], last["summary"]["failed"]) == (1, 1)


UNREADABLE = f"/{'x' * 300}"
"""A folder that gives an error other than that it is missing, also to root: as a home without a token for its AFS."""


def test_a_state_folder_that_cannot_be_read_costs_no_upload(
    ctadata: Run, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_cta.make_dir("/lst")
    monkeypatch.setenv("XDG_STATE_HOME", UNREADABLE)
    Path("mine").mkdir()
    Path("mine/a").write_bytes(b"mine")
    file, tree = ctadata("put", "mine/a", "lst/a"), ctadata("put", "-r", "mine", "lst/")
    cleaned, agent = ctadata("clean", "lst"), ctadata("agent", "status")

    assert (file.code, tree.code) == (0, 0), file.err + tree.err
    assert fake_cta.paths() == ["/lst/a", "/lst/mine/a"]
    assert (cleaned.code, "cannot look for running uploads" in cleaned.err) == (1, True)
    assert (agent.code, agent.err) == (1, "")


def test_a_home_without_folders_is_one_without_files(
    ctadata: Run, night: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/dev/null")
    Path("mine").write_bytes(b"mine")

    assert ctadata("list", "lst").lines == ["DL3/"]
    assert ctadata("put", "mine", "lst/mine").code == 0
    assert ctadata("doctor").code == 0


def test_a_config_that_cannot_be_read_is_not_one_to_be_mended(
    ctadata: Run, night: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", UNREADABLE)
    ran = ctadata("list", "lst")

    assert ran.code == 2
    assert ran.one_line.endswith("make it readable, or set XDG_CONFIG_HOME to a folder that is")


@pytest.mark.parametrize(
    "command",
    [
        ["put", "own", "cta:/lst/x"],
        ["put", "own", "cta:lst/"],
        ["cp", "lst/DL3/a.fits", "cta:/lst/x"],
        ["mkdir", "-p", "cta:/lst/x"],
        ["get", "lst/DL3/a.fits", "cta:/lst/x"],
        ["sync", "cta://lst/DL3", "cta:/lst/x"],
    ],
)
def test_an_address_that_has_lost_a_slash_makes_no_folder(command: list[str], ctadata: Run, night: FakeCta) -> None:
    Path("own").write_bytes(b"own")
    before = night.paths()
    ran = ctadata(*command)

    assert ran.code == 2
    assert "two slashes belong behind 'cta:'; write cta://lst/" in ran.one_line
    assert night.paths() == before
    assert [path.name for path in Path().iterdir()] == ["own"]


@pytest.mark.parametrize(
    "command",
    [
        ["put", "own", "cta://"],
        ["put", "own", "/"],
        ["put", "-r", ".", "cta:///"],
        ["cp", "lst/DL3/a.fits", "cta://"],
    ],
)
def test_nothing_is_copied_into_the_root(command: list[str], ctadata: Run, night: FakeCta) -> None:
    Path("own").write_bytes(b"own")
    before = night.paths()
    ran = ctadata(*command)

    assert ran.code == 2
    assert "nothing is copied into the root of the storage; name a folder, or the file itself as cta:///name" in ran.err
    assert night.paths() == before


def test_a_file_is_put_below_the_root_by_its_name(ctadata: Run, night: FakeCta) -> None:
    Path("own").write_bytes(b"own")

    assert ctadata("put", "own", "cta:///own").code == 0
    assert night.get("/own") == b"own"
