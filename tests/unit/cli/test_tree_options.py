"""What of a tree is taken, and what becomes of errors."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.testing import FakeCta

Run = Callable[..., Any]
"""The fixture `ctadata`: runs a command, gives its `code`, `out`, `err`, `lines`, `records`, `error`, `one_line`."""


@pytest.fixture
def tree(fake_cta: FakeCta) -> FakeCta:
    """A tree of files."""
    for name in ("a.fits", "notes.txt", "n1/b.fits", "n1/logs/x.log", "n2/c.fits", "n2/logs/y.log"):
        fake_cta.put(f"/lst/{name}", b"12345")
    return fake_cta


def files(folder: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


SELECTIONS = [
    (["--include", "*.fits"], ["a.fits", "n1/b.fits", "n2/c.fits"]),
    (["--include", "*.fits", "--include", "notes.txt", "--exclude", "/n1"], ["a.fits", "n2/c.fits", "notes.txt"]),
    (["--exclude", "logs/"], ["a.fits", "n1/b.fits", "n2/c.fits", "notes.txt"]),
    (["--include=n2/**/*.log"], ["n2/logs/y.log"]),
    (["--include", "nothing"], []),
]


@pytest.mark.parametrize(("options", "taken"), SELECTIONS)
def test_get_put_and_list_take_what_is_selected(
    options: list[str], taken: list[str], ctadata: Run, tree: FakeCta
) -> None:
    got = ctadata("get", "-r", *options, "lst", "copy")
    listed = ctadata("list", "-r", "lst", *options)
    whole = ctadata("get", "-qr", "lst", "whole")
    put = ctadata("put", "-r", *options, "whole", "up")

    assert [got.code, listed.code, whole.code, put.code] == [0, 0, 0, 0], put.err
    assert files("copy") == taken
    assert sorted(line for line in listed.lines if not line.endswith("/")) == taken
    assert [path.removeprefix("/up/") for path in tree.paths() if path.startswith("/up/")] == taken
    assert f" {len(taken)} file" in got.one_line


def test_a_listing_shows_only_folders_in_which_something_is_taken(ctadata: Run, tree: FakeCta) -> None:
    assert ctadata("list", "-r", "--include", "x.log", "lst").lines == ["n1/", "n1/logs/", "n1/logs/x.log"]


def test_each_folder_given_is_the_top_of_its_own_patterns(ctadata: Run, tree: FakeCta) -> None:
    ctadata("get", "-qr", "--include", "/logs", "lst/n1", "lst/n2", ".")

    assert files(".") == ["n1/logs/x.log", "n2/logs/y.log"]


@pytest.mark.parametrize("command", ["list", "get", "put"])
@pytest.mark.parametrize("option", ["--include", "--exclude"])
def test_patterns_without_r_are_wrong_usage(command: str, option: str, ctadata: Run, fake_cta: FakeCta) -> None:
    ran = ctadata(command, option, "*.fits", "lst", "x")

    assert (ran.code, fake_cta.requests) == (2, [])
    assert "--include and --exclude" in ran.one_line
    assert ran.one_line.endswith("add -r")


@pytest.mark.parametrize("pattern", ["", "/", "a//b", "../x"])
def test_a_bad_pattern_is_wrong_usage(pattern: str, ctadata: Run, fake_cta: FakeCta) -> None:
    ran = ctadata("get", "-r", "--exclude", pattern, "lst")

    assert (ran.code, fake_cta.requests) == (2, [])
    assert repr(pattern) in ran.one_line


def test_errors_are_told_at_the_end_by_path_and_the_rest_arrives(ctadata: Run, tree: FakeCta) -> None:
    tree.set_locality("/lst/notes.txt", "NEARLINE")
    tree.set_locality("/lst/a.fits", "LOST")
    tree.set_locality("/lst/n1/b.fits", "UNAVAILABLE")
    ran = ctadata("get", "-r", "lst", "copy")
    *errors, summary = ran.err.splitlines()

    assert ran.code == 1
    assert [re.findall(r"/lst/\S+(?=:)", line) for line in errors] == [
        ["/lst/a.fits"],
        ["/lst/n1/b.fits"],
        ["/lst/notes.txt"],
    ]
    assert re.fullmatch(r"downloaded 3 files, 15 B in [\d.]+ s \([\d.]+ k?B/s\), 3 failed", summary)
    assert files("copy") == ["n1/logs/x.log", "n2/c.fits", "n2/logs/y.log"]


def test_the_same_input_prints_the_same_text(ctadata: Run, tree: FakeCta) -> None:
    for number in range(40):
        tree.put(f"/lst/many/{number:02}", b"x" * number)
        if number % 7 == 0:
            tree.set_locality(f"/lst/many/{number:02}", "LOST")

    def said(*options: str) -> list[str]:
        ran = ctadata("get", *options)
        return [
            re.sub(r'[\d.]+ s \(.*?\)|"(seconds|rate)": [\d.]+', "", line) for line in (ran.out + ran.err).splitlines()
        ]

    assert said("-r", "lst", "x") == said("-r", "lst", "x")
    assert said("--json", "lst/many/*", "x/") == said("--json", "lst/many/*", "x/")
    assert said("--max-parallel", "1", "-v", "lst/many/*", "x/") == said("-v", "lst/many/*", "x/")


def test_json_has_a_record_for_each_failure(ctadata: Run, tree: FakeCta) -> None:
    tree.set_locality("/lst/notes.txt", "NEARLINE")
    ran = ctadata("get", "-r", "--json", "lst", "copy")
    record, summary = ran.records

    assert ran.code == 1
    assert (record["done"], record["files"], record["failed"]) == ("downloaded", 5, 1)
    assert (summary["summary"]["files"], summary["summary"]["failed"]) == (5, 1)
    assert (ran.error["error"], ran.error["path"]) == ("StorageError", "/lst/notes.txt")
    assert ran.error["remedy"]


@pytest.mark.parametrize("paths", [["-r", "lst"], ["lst/a.fits", "lst/notes.txt"]])
def test_the_first_error_stops_all_where_that_is_asked_for(paths: list[str], ctadata: Run, tree: FakeCta) -> None:
    tree.set_locality("/lst/notes.txt", "NEARLINE")
    tree.set_locality("/lst/a.fits", "NEARLINE")
    ran = ctadata("get", "--on-error", "stop", *paths, "copy/")

    assert ran.code == 1
    assert "NEARLINE" in ran.one_line
    assert not list(Path().rglob("*.ctapart"))


def test_a_missing_argument_stops_all_where_that_is_asked_for(ctadata: Run, tree: FakeCta) -> None:
    Path("p").touch()
    got = ctadata("get", "--on-error=stop", "lst/none", "lst/a.fits", "copy/")
    put = ctadata("put", "--on-error=stop", "none", "p", "lst/up/")

    assert (got.code, put.code, files(".")) == (1, 1, ["p"])
    assert "/lst/none" in got.one_line
    assert "none does not exist" in put.one_line
    assert not tree.exists("/lst/up")


def test_an_upload_tells_what_failed_and_sends_the_rest(ctadata: Run, tree: FakeCta) -> None:
    for name in ("results/1", "results/no/x", "results/no/y", "results/yes/z"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"123")
    tree.faults.add("forbidden", path="/up/no", method="MKCOL")
    ran = ctadata("put", "-r", "results", "up")
    error, summary = ran.err.splitlines()

    assert ran.code == 1
    assert error.startswith("ctadata: cannot make folder /up/no: ")
    assert re.fullmatch(r"uploaded 2 files, 6 B in .*, 1 failed", summary)
    assert [path for path in tree.paths() if path.startswith("/up/")] == ["/up/1", "/up/yes/z"]


def test_a_folder_that_cannot_be_listed_is_told_and_the_others_are_shown(ctadata: Run, tree: FakeCta) -> None:
    tree.faults.add("forbidden", path="/lst/n1", method="PROPFIND")
    ran = ctadata("list", "-r", "lst")

    assert ran.code == 1
    assert "/lst/n1" in ran.one_line
    assert "n2/logs/y.log" in ran.lines
    assert "n1/b.fits" not in ran.lines
