"""Copies from one remote place to another on the command line."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.testing import FakeCta

Run = Callable[..., Any]
"""The fixture `ctadata`: runs a command, gives its `code`, `out`, `err`, `lines`, `records`, `error`, `one_line`."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ctadata: Run) -> Iterator[FakeCta]:
    """Another data centre, the profile `site`."""
    with FakeCta() as cta:
        (tmp_path / "site-token").write_text(cta.token)
        config = tmp_path / "config" / "ctadata-providers" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(f'[profiles.site]\ndoor_url = "{cta.door_url}"\ntoken_file = "{tmp_path / "site-token"}"\n')
        yield cta


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["lst/DL3/a.fits", "lst/new.fits"], ["new.fits"]),
        (["lst/DL3/a.fits", "lst/new/"], ["new/a.fits"]),
        (["lst/DL3/a.fits", "/lst/there"], ["there/a.fits"]),
        (["lst/DL3/a.fits", "lst/DL3/b.fits", "cta://lst/new"], ["new/a.fits", "new/b.fits"]),
        (["lst/DL3/n*", "lst/new"], ["new/notes.txt"]),
        (["-r", "lst/DL3/old", "lst/new"], ["new/c.fits"]),
        (["-r", "lst/DL3/old", "lst/there"], ["there/old/c.fits"]),
        (["-r", "lst/DL3/**", "lst/new"], ["new/a.fits", "new/b.fits", "new/notes.txt", "new/old/c.fits"]),
        (["-r", "--include", "*.fits", "--exclude", "old/", "lst/DL3", "lst/new"], ["new/a.fits", "new/b.fits"]),
    ],
)
def test_cp_writes_where_cp_would(arguments: list[str], written: list[str], ctadata: Run, night: FakeCta) -> None:
    night.make_dir("/lst/there")
    before = set(night.paths())
    ran = ctadata("cp", *arguments)

    assert (ran.code, ran.out) == (0, ""), ran.err
    assert sorted(set(night.paths()) - before) == [f"/lst/{name}" for name in written]
    assert re.fullmatch(r"copied \d files?, \d+ B in \d+\.\d s \([\d.]+ k?B/s\)", ran.one_line)


def test_between_two_profiles_the_servers_copy_when_they_may(ctadata: Run, night: FakeCta, site: FakeCta) -> None:
    through = ctadata("cp", "--json", "lst/DL3/a.fits", "cta://site@lst/a.fits")
    direct = ctadata("cp", "--json", "--copy-hosts", "localhost", "lst/DL3/a.fits", "cta://site@lst/b.fits")
    back = ctadata("cp", "-r", "--copy-hosts=localhost", "cta://site@lst", "cta://lst/back")

    assert [ran.code for ran in (through, direct, back)] == [0, 0, 0], back.err
    assert [ran.records[0].pop("seconds") >= 0 for ran in (through, direct)] == [True, True]
    assert [ran.records[0]["way"] for ran in (through, direct)] == ["client", "pull"]
    record = direct.records[0]
    record.pop("seconds")
    assert record == {
        "done": "copied",
        "path": "/lst/b.fits",
        "source": "/lst/DL3/a.fits",
        "files": 1,
        "size": 4,
        "retries": 0,
        "failed": 0,
        "way": "pull",
    }
    assert (site.paths(), night.get("/lst/back/b.fits")) == (["/lst/a.fits", "/lst/b.fits"], b"aaaa")


def test_a_door_given_as_option_is_that_of_the_side_without_a_name(
    ctadata: Run, night: FakeCta, site: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CTA_DOOR_URL")
    ran = ctadata("cp", "--door-url", night.door_url, "lst/DL3/a.fits", "cta://site@lst/")

    assert (ran.code, site.paths()) == (0, ["/lst/a.fits"]), ran.err


@pytest.mark.parametrize("path", ["./x", "../x", "~/x", ".", "-"])
def test_a_local_path_is_refused_with_the_commands_for_it(path: str, ctadata: Run, night: FakeCta) -> None:
    source, target = ctadata("cp", path, "lst/new"), ctadata("cp", "lst/DL3/a.fits", path)

    for ran in (source, target):
        assert ran.code == 2
        assert "cp copies from remote to remote" in ran.one_line
        assert "ctadata get" in ran.one_line
        assert "ctadata put" in ran.one_line


def test_what_is_on_this_machine_is_not_taken_for_remote(ctadata: Run, night: FakeCta, tmp_path: Path) -> None:
    Path("here").write_text("x")
    source, target = ctadata("cp", "here", "lst/new"), ctadata("cp", "lst/DL3/a.fits", tmp_path)
    meant = ctadata("cp", "lst/DL3/a.fits", "cta://here")

    assert (source.code, target.code, meant.code) == (1, 2, 0)
    assert "there is no remote /here, but here is on this machine; download with" in source.one_line
    assert f"{tmp_path} exists on this machine" in target.one_line
    assert night.get("/here") == b"aaaa"


def test_errors_are_told_at_the_end_and_the_rest_goes_on(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("cp", "lst/DL3/a.fits", "lst/none", "lst/DL3/old", "lst/DL3/b.fits", "lst/new")

    assert ran.code == 1
    assert [line for line in ran.err.splitlines() if "none" in line]
    assert any("add -r" in line for line in ran.err.splitlines())
    assert ran.err.splitlines()[-1].startswith("copied 2 files")
    assert (night.get("/lst/new/a.fits"), night.get("/lst/new/b.fits")) == (b"aaaa", b"bb")


def test_the_first_error_stops_when_asked_and_nothing_is_replaced_against_the_wish(
    ctadata: Run, night: FakeCta
) -> None:
    night.put("/lst/new/a.fits", b"old")
    kept = ctadata("cp", "--no-overwrite", "lst/DL3/a.fits", "lst/new/")
    stopped = ctadata("cp", "--on-error", "stop", "lst/none", "lst/DL3/b.fits", "lst/new/")
    twice = ctadata("cp", "lst/DL3/a.fits", "lst/DL3/a.fits", "lst/other/")

    assert (kept.code, stopped.code, twice.code) == (1, 1, 1)
    assert "it exists" in kept.err
    assert "would be written twice" in twice.err
    assert night.get("/lst/new/a.fits") == b"old"
    assert not night.exists("/lst/new/b.fits")


def test_sources_are_of_one_profile(ctadata: Run, night: FakeCta, site: FakeCta) -> None:
    ran = ctadata("cp", "cta://site@lst/a", "cta://prod@lst/b", "lst/new/")

    assert ran.code == 2
    assert "one command speaks to one profile" in ran.one_line
