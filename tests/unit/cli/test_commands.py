"""Looking at, removing, moving and making remote files and folders; errors."""

import json
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import FileInfo, NotFoundError
from ctadata_providers.cli.output import Output, describe, safe
from ctadata_providers.testing import FakeCta

Run = Callable[..., Any]
"""The fixture `ctadata`: runs a command, gives its `code`, `out`, `err`, `lines`, `records`, `error`, `one_line`."""


def test_a_folder_is_listed_by_names(ctadata: Run, night: FakeCta) -> None:
    for path in ("lst/DL3", "/lst/DL3", "cta://lst/DL3", "lst/DL3/"):
        ran = ctadata("list", path)

        assert ctadata("ls", path) == ran
        assert (ran.code, ran.err) == (0, "")
        assert sorted(ran.lines) == ["a.fits", "b.fits", "notes.txt", "old/"]


def test_the_root_is_listed_by_default(ctadata: Run, night: FakeCta) -> None:
    assert ctadata("list").lines == ["lst/"]


def test_a_recursive_listing_names_what_is_below(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("list", "-r", "lst")

    assert sorted(ran.lines) == ["DL3/", "DL3/a.fits", "DL3/b.fits", "DL3/notes.txt", "DL3/old/", "DL3/old/c.fits"]


def test_several_folders_and_patterns_are_listed_by_paths(ctadata: Run, night: FakeCta) -> None:
    assert ctadata("list", "lst/DL3/old", "lst/DL3/a.fits").lines == ["/lst/DL3/old/c.fits", "/lst/DL3/a.fits"]
    assert ctadata("list", "lst/DL3/?.fits").lines == ["/lst/DL3/a.fits", "/lst/DL3/b.fits"]
    assert ctadata("list", "lst/**/[c-z].fits").lines == ["/lst/DL3/old/c.fits"]
    assert ctadata("list", "lst/DL3/*/").lines == ["/lst/DL3/old/"]
    assert ctadata("list", "-r", "lst/D*/ol*").lines == ["/lst/DL3/old/", "/lst/DL3/old/c.fits"]


def test_a_recursive_pattern_lists_nothing_twice(ctadata: Run, night: FakeCta) -> None:
    lines = ctadata("list", "-r", "lst/**").lines

    assert len(lines) == len(set(lines))
    assert "/lst/DL3/old/c.fits" in lines


def test_a_long_listing_has_type_size_and_time(ctadata: Run, night: FakeCta) -> None:
    lines = {line.split()[-1]: line.split() for line in ctadata("list", "-l", "lst/DL3").lines}

    assert lines["a.fits"][:2] == ["-", "4"]
    assert lines["old/"][:2] == ["d", "-"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", lines["a.fits"][2])


def test_a_json_listing_has_one_object_a_line(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("list", "--json", "lst/DL3")
    by_path = {record["path"]: record for record in ran.records}

    assert ran.err == ""
    assert by_path["/lst/DL3/a.fits"]["uri"] == "cta://lst/DL3/a.fits"
    assert by_path["/lst/DL3/a.fits"]["type"] == "file"
    assert by_path["/lst/DL3/a.fits"]["size"] == 4
    assert by_path["/lst/DL3/old"]["type"] == "folder"


def test_a_path_that_exists_as_written_is_no_pattern(ctadata: Run, fake_cta: FakeCta) -> None:
    for name in ("run[1].fits", "run1.fits", "run[2].fits", "run2.fits"):
        fake_cta.put(f"/lst/{name}", b"x")

    assert ctadata("list", "lst/run[1].fits").lines == ["/lst/run[1].fits"]
    assert ctadata("list", "lst/run[[]2].fits").lines == ["/lst/run[2].fits"]
    assert ctadata("list", "lst/run[1-2].fits").lines == ["/lst/run1.fits", "/lst/run2.fits"]


def test_stat_shows_all_that_is_known(ctadata: Run, night: FakeCta) -> None:
    shown = dict(line.split(None, 1) for line in ctadata("stat", "lst/DL3/a.fits").lines)
    record = ctadata("stat", "--json", "lst/DL3/a.fits").records[0]

    assert (shown["uri:"], shown["type:"], shown["size:"]) == ("cta://lst/DL3/a.fits", "file", "4")
    assert shown["checksums:"] == "adler32 03ce0185"
    assert record["checksums"] == {"adler32": "03ce0185"}
    assert set(record) == {"path", "uri", "type", "size", "mtime", "etag", "checksums", "locality"}


def test_what_is_missing_is_named_and_the_others_are_shown(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("stat", "lst/DL3/none", "lst/DL3/x*", "lst/DL3/a.fits/", "lst/DL3/b.fits")
    missing, unmatched, no_folder = ran.err.splitlines()

    assert ran.code == 1
    assert "/lst/DL3/none" in missing
    assert "nothing matches /lst/DL3/x*" in unmatched
    assert "/lst/DL3/a.fits is a file" in no_folder
    assert "cta://lst/DL3/b.fits" in ran.out


def test_rm_removes_files_and_what_matches(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("rm", "lst/DL3/*.fits", "lst/DL3/notes.txt")

    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert night.paths() == ["/lst/DL3/old/c.fits"]


def test_rm_keeps_a_full_folder_unless_recursive(ctadata: Run, night: FakeCta) -> None:
    kept = ctadata("rm", "lst/DL3/old")
    paths = night.paths()
    removed = ctadata("rm", "-r", "-v", "lst/DL3/old", "lst/DL3/none")

    assert kept.code == 1
    assert "/lst/DL3/old" in kept.one_line
    assert "/lst/DL3/old/c.fits" in paths
    assert removed.code == 1
    assert "removed /lst/DL3/old\n" in removed.err
    assert not night.exists("/lst/DL3/old")


def test_rm_recursive_of_a_pattern_takes_no_folder_twice(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("rm", "-r", "--json", "lst/DL3/**/*")

    assert (ran.code, ran.err, night.paths()) == (0, "", [])
    assert {"done": "removed", "path": "/lst/DL3/old"} in ran.records


def test_mv_renames_or_moves_into_a_folder(ctadata: Run, night: FakeCta) -> None:
    renamed = ctadata("mv", "lst/DL3/a.fits", "lst/DL3/z.fits")
    moved = ctadata("mv", "lst/DL3/b.fits", "lst/DL3/old")
    kept = ctadata("mv", "--json", "lst/DL3/notes.txt", "lst/DL3/z.fits")
    overwritten = ctadata("mv", "--overwrite", "lst/DL3/notes.txt", "lst/DL3/z.fits")

    assert [renamed.code, moved.code, overwritten.code] == [0, 0, 0]
    assert (kept.code, kept.error["error"]) == (1, "AlreadyExistsError")
    assert night.paths() == ["/lst/DL3/old/b.fits", "/lst/DL3/old/c.fits", "/lst/DL3/z.fits"]
    assert night.get("/lst/DL3/z.fits") == b"n"


def test_mv_of_a_file_as_a_folder_is_an_error(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("mv", "--json", "lst/DL3/a.fits/", "lst/DL3/z.fits")

    assert (ran.code, ran.error["error"]) == (1, "NotADirError")
    assert night.exists("/lst/DL3/a.fits")


def test_mkdir_makes_parents_only_when_asked(ctadata: Run, night: FakeCta) -> None:
    refused = ctadata("mkdir", "lst/x/y")
    made = ctadata("mkdir", "-p", "lst/x/y", "lst/DL3")
    again = ctadata("mkdir", "lst/x/y")

    assert [refused.code, made.code, again.code] == [1, 0, 1]
    assert night.exists("/lst/x/y")


def test_mkdir_of_what_exists_says_what_one_can_do_here(ctadata: Run, night: FakeCta) -> None:
    assert "mkdir -p" in ctadata("mkdir", "lst/DL3").one_line
    assert "it is a file" in ctadata("mkdir", "lst/DL3/a.fits").one_line


def test_a_wrong_token_ends_the_command_at_once(ctadata: Run, night: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_TOKEN", "not.the.token")
    ran = ctadata("get", "--json", "lst/DL3/a.fits", "lst/DL3/b.fits", "lst/DL3/notes.txt", ".")

    assert ran.code == 1
    assert ran.error["error"] == "CredentialError"
    assert ran.error["remedy"]
    assert "not.the.token" not in ran.err
    assert list(Path().iterdir()) == []


def test_a_door_that_is_not_there_is_one_line_after_the_retries(ctadata: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("localhost", 0))
        door = f"https://localhost:{unused.getsockname()[1]}"
        ran = ctadata("list", "--retries", "1", "--door-url", door, "lst")
        quiet = ctadata("list", "--retries", "1", "--json", "--door-url", door, "lst")
    retry, error = ran.err.splitlines()

    assert (ran.code, quiet.code) == (1, 1)
    assert "retry 1" in retry
    assert door in error
    assert quiet.error["error"] == "TransientError"


def test_verbose_tells_what_is_done(ctadata: Run, night: FakeCta) -> None:
    assert ctadata("mv", "-v", "lst/DL3/a.fits", "lst/DL3/z.fits").one_line == "moved /lst/DL3/z.fits"
    assert ctadata("mv", "-qv", "lst/DL3/z.fits", "lst/DL3/a.fits").err == ""


def test_debug_shows_the_trace(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("stat", "--debug", "lst/none")

    assert ran.err.startswith("Traceback (most recent call last)")
    assert ran.err.splitlines()[-1].startswith("ctadata: ")


def test_a_local_error_names_the_file(ctadata: Run, night: FakeCta) -> None:
    Path("x").write_bytes(b"mine")
    ran = ctadata("get", "lst/DL3/a.fits", "x/y.fits")

    assert ran.code == 1
    assert "x" in ran.one_line
    assert Path("x").read_bytes() == b"mine"


def test_a_time_that_no_calendar_has_is_unknown() -> None:
    for modified in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        assert describe(FileInfo("/lst/a", is_dir=False, modified=modified))["mtime"] is None


def test_a_line_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(sys.stderr, "write", written.append)
    Output().say("one")
    Output().error(KeyboardInterrupt())
    Output(as_json=True).error(NotFoundError("none"))

    assert [line.endswith("\n") for line in written] == [True] * 3


def test_nothing_in_a_name_acts_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    nasty = "a\x1b[2J\n\r\x07\u202egnp.\x9b\udce9\u2028ü日.fits"
    Output().record({}, nasty)
    Output(as_json=True).record({"path": nasty}, "not shown")
    line, data = capsys.readouterr().out.splitlines()

    assert line == r"a\x1b[2J\n\r\x07\u202egnp.\x9b\udce9\u2028ü日.fits"
    assert json.loads(data)["path"] == nasty
    assert data.isascii()
    assert safe("ü日", "ascii") == r"\xfc\u65e5"
