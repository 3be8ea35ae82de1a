"""The commands `sync`, `verify` and `clean`."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.cli.syncing_arguments import seconds
from ctadata_providers.testing import FakeCta

Run = Callable[..., Any]
"""The fixture `ctadata`: runs a command, gives its `code`, `out`, `err`, `lines`, `records`, `error`, `one_line`."""

CTADATA = [sys.executable, "-m", "ctadata_providers.cli"]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# sync


def test_a_folder_comes_and_comes_only_once(ctadata: Run, night: FakeCta) -> None:
    first = ctadata("sync", "cta://lst/DL3", "copy")
    second = ctadata("sync", "cta://lst/DL3/", "copy/")

    assert files(Path("copy")) == {"a.fits": b"aaaa", "b.fits": b"bb", "notes.txt": b"n", "old/c.fits": b"cccccc"}
    assert (first.code, first.out, second.code, second.out) == (0, "", 0, "")
    assert re.fullmatch(r"4 files copied \(13 B in \d+\.\d s\), 0 unchanged", first.one_line)
    assert re.fullmatch(r"0 files copied \(0 B in \d+\.\d s\), 4 unchanged", second.one_line)


def test_a_folder_goes_with_its_patterns(ctadata: Run, fake_cta: FakeCta) -> None:
    Path("up/tmp").mkdir(parents=True)
    for name in ("up/a.fits", "up/b.log", "up/tmp/c.fits"):
        Path(name).write_bytes(b"1")
    ran = ctadata("sync", "-q", "up", "cta://lst/up", "--include", "*.fits", "--exclude", "tmp/")

    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert fake_cta.paths() == ["/lst/up/a.fits"]


def test_a_dry_run_prints_what_would_be_done(ctadata: Run, night: FakeCta) -> None:
    Path("copy").mkdir()
    Path("copy/b.fits").write_bytes(b"another")
    Path("copy/extra").write_bytes(b"e")
    ran = ctadata("sync", "-n", "--delete", "cta://lst/DL3", "copy")
    as_json = ctadata("sync", "--dry-run", "--json", "--delete", "cta://lst/DL3", "copy")

    assert ran.lines == [
        "copy    a.fits",
        "replace b.fits",
        "copy    notes.txt",
        "make    old/",
        "copy    old/c.fits",
        "remove  extra",
    ]
    assert re.fullmatch(r"4 files would be copied \(13 B in .* s\), 0 unchanged, 1 would be removed", ran.one_line)
    assert files(Path("copy")) == {"b.fits": b"another", "extra": b"e"}
    assert as_json.err == ""
    assert as_json.records[0] == {"change": "copy", "path": "a.fits", "type": "file", "size": 4}
    assert as_json.records[3] == {"change": "make", "path": "old", "type": "folder", "size": None}
    summary = as_json.records[-1]["summary"]
    assert summary["seconds"] >= 0
    assert (summary["done"], summary["dry_run"]) == ("synced", True)
    assert summary["removed"] == 1


def test_what_is_done_is_told_when_asked(ctadata: Run, night: FakeCta) -> None:
    verbose = ctadata("sync", "-v", "cta://lst/DL3", "copy")
    Path("copy/extra").write_bytes(b"e")
    Path("copy/a.fits").unlink()
    as_json = ctadata("sync", "--json", "--delete", "cta://lst/DL3", "copy")

    assert "made ./\n" in verbose.err
    assert "copied old/c.fits\n" in verbose.err
    *changes, last = as_json.records
    assert [(record["done"], record["path"]) for record in changes] == [("copied", "a.fits"), ("removed", "extra")]
    assert last["summary"]["done"] == "synced"
    assert not Path("copy/extra").exists()


def test_failures_are_told_and_the_rest_is_done(ctadata: Run, night: FakeCta) -> None:
    Path("copy/a.fits").mkdir(parents=True)
    Path("copy/old").write_bytes(b"file")
    Path("copy/extra").write_bytes(b"e")
    ran = ctadata("sync", "--delete", "cta://lst/DL3", "copy")
    first, second, summary = ran.err.splitlines()
    as_json = ctadata("sync", "--json", "--on-error", "stop", "cta://lst/DL3", "copy")

    assert (ran.code, as_json.code) == (1, 1)
    assert "copy/a.fits is a folder, in the source a file; remove the folder first" in first
    assert "copy/old is a file, in the source a folder; remove the file first" in second
    assert summary.endswith("2 failed")
    assert as_json.error["error"] == "IsADirError"
    assert {"b.fits", "extra", "notes.txt", "old"} == set(files(Path("copy")))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sync", "a", "b"], "must be a cta:// address"),
        (["sync", "cta://a", "cta://b"], "must be a cta:// address"),
        (["sync", "a"], "required: TARGET"),
        (["sync", "--compare", "date", "a", "cta://b"], "invalid choice: 'date'"),
        (["sync", "--include", "../x", "a", "cta://b"], "not a usable pattern"),
        (["sync", "--on-error", "ask", "a", "cta://b"], "invalid choice: 'ask'"),
        (["sync", "a", "cta://b/../c"], "segment '..'"),
        (["sync", "--delete", "cta://lst/DL3", ""], "an empty path"),
        (["sync", "", "cta://lst/DL3"], "an empty path"),
        (["sync", "cta://lst/DL3", "https://host/x"], "only cta:// addresses"),
        (["verify", "a"], "required: REMOTE"),
        (["verify", "", "lst"], "an empty path"),
        (["verify", "a", ""], "an empty path"),
        (["clean", ""], "an empty path"),
        (["clean", "--local", ""], "an empty path"),
        (["verify", "--compare", "mtime", "a", "b"], "invalid choice: 'mtime'"),
        (["clean"], "required: PATH"),
        (["clean", "--older-than", "24", "lst"], "'24' is no time such as 90s, 30m, 24h or 7d"),
        (["clean", "--older-than", "-1h", "lst"], "expected one argument"),
        (["clean", "--older-than", "1y", "lst"], "'1y' is no time"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(arguments: list[str], said: str, ctadata: Run, fake_cta: FakeCta) -> None:
    ran = ctadata(*arguments)

    assert (ran.code, ran.out) == (2, "")
    assert said in ran.one_line
    assert fake_cta.requests == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["cta://lst/none", "copy"], "NotFoundError"),
        (["none", "cta://lst/copy"], "NotFoundError"),
        (["cta://lst/DL3/a.fits", "copy"], "NotADirError"),
        (["--delete", ".", "cta://"], "PermissionDeniedError"),
    ],
)
def test_what_cannot_be_synced_is_code_1(arguments: list[str], error: str, ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("sync", "--json", *arguments)

    assert (ran.code, ran.error["error"]) == (1, error)
    assert not Path("copy").exists()
    assert len(night.paths()) == 4


def test_a_name_cannot_act_on_the_terminal(ctadata: Run, fake_cta: FakeCta) -> None:
    Path("up").mkdir()
    Path("up/line\nbreak").write_bytes(b"1")
    Path("up/esc\x1b[31m").write_bytes(b"1")
    ran = ctadata("sync", "up", "cta://lst/up")

    assert ran.code == 1
    assert len(ran.err.splitlines()) == 3
    assert "\x1b" not in ran.err
    assert "rename it, or exclude it" in ran.err


@pytest.mark.parametrize(("direction", "number", "code"), [("down", signal.SIGINT, 130), ("up", signal.SIGINT, 130),
                                                           ("down", signal.SIGTERM, 143)])  # fmt: skip
def test_a_signal_ends_a_sync_and_leaves_nothing_partial(
    direction: str, number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, copy = tmp_path / "served", tmp_path / "copy"
    source = served / "lst" if direction == "down" else tmp_path / "up"
    for folder in (served, source, copy):
        folder.mkdir(parents=True, exist_ok=True)
    for name in "abc":  # large enough to be still on its way, but empty blocks on disk
        with (source / name).open("wb") as file:
            file.truncate(2**28)
    (copy / "a").write_bytes(b"old")
    arguments = ["cta://lst", str(copy)] if direction == "down" else [str(source), "cta://up"]
    with FakeCta(root=served) as cta:
        for name, value in cta.environ().items():
            monkeypatch.setenv(name, value)
        command = [*CTADATA, "sync", "--compare", "size", "--checksum", "off", *arguments]
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
            try:
                while process.poll() is None and not _begun(copy if direction == "down" else served):
                    time.sleep(0.01)
                process.send_signal(number)
                begin = time.monotonic()
                _, err = process.communicate(timeout=20)
                took = time.monotonic() - begin
            finally:
                process.kill()
        left = [path for path in cta.paths() if path.startswith("/up")]

    assert process.returncode == code, err
    assert took < 2
    assert "Traceback" not in err
    assert left == []
    assert files(copy) == {"a": b"old"}


def _begun(folder: Path) -> bool:
    return any(folder.rglob(".*.ctapart"))


# verify


def test_the_same_is_code_0(ctadata: Run, night: FakeCta) -> None:
    ctadata("sync", "-q", "cta://lst/DL3", "copy")
    ran = ctadata("verify", "copy", "lst/DL3")
    quiet = ctadata("verify", "-q", "copy/a.fits", "cta://lst/DL3/a.fits")

    assert (ran.code, ran.out, ran.one_line) == (0, "", "4 files the same (13 B), 0 differences")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_differences_are_lines_in_the_order_of_the_paths_and_code_1(ctadata: Run, night: FakeCta) -> None:
    ctadata("sync", "-q", "cta://lst/DL3", "copy")
    Path("copy/b.fits").write_bytes(b"B" * 2)
    Path("copy/notes.txt").unlink()
    Path("copy/old/c.fits").write_bytes(b"short")
    Path("copy/old/new").write_bytes(b"1")
    ran = ctadata("verify", "copy", "lst/DL3")
    as_json = ctadata("verify", "--json", "copy", "lst/DL3")

    assert (ran.code, as_json.code) == (1, 1)
    assert ran.lines == [
        "b.fits: checksum: adler32 00c80085 here, adler32 012800c5 there",
        "notes.txt: missing here (file)",
        "old/c.fits: size: 5 here, 6 there",
        "old/new: missing there (file)",
    ]
    assert ran.one_line == "1 file the same (4 B), 4 differences"
    assert as_json.records[2] == {
        "kind": "size",
        "path": "old/c.fits",
        "here": "5",
        "there": "6",
        "message": None,
    }
    assert as_json.records[-1] == {"summary": {"done": "verified", "same": 1, "size": 4, "differences": 4}}


def test_what_cannot_be_compared_is_a_line_and_code_1(ctadata: Run, night: FakeCta) -> None:
    Path("copy").mkdir()
    Path("copy/dangling").symlink_to("/does/not/exist")
    broken = ctadata("verify", "copy", "lst/DL3", "--include", "dangling")
    nothing = ctadata("verify", "none", "lst/none")

    assert (broken.code, nothing.code) == (1, 1)
    assert broken.out.startswith("dangling: error: cannot use copy/dangling")
    assert "neither none here nor /lst/none there" in nothing.one_line


def test_the_top_has_a_name_in_a_difference(ctadata: Run, night: FakeCta) -> None:
    Path("file").write_bytes(b"1")

    assert ctadata("verify", "file", "cta://").lines == [".: kind: file here, folder there"]


def test_selected_files_are_verified(ctadata: Run, night: FakeCta) -> None:
    ctadata("get", "-q", "lst/DL3/a.fits", "copy/")
    ran = ctadata("verify", "--compare", "size", "--exclude", "old/", "--exclude", "[bn]*", "copy", "lst/DL3")

    assert (ran.code, ran.one_line) == (0, "1 file the same (4 B), 0 differences")


# clean


def test_parts_are_removed_and_told(ctadata: Run, night: FakeCta) -> None:
    for name in ("/lst/DL3/.a.ctapart", "/lst/DL3/old/.b.ctapart/x"):
        night.put(name, b"part")
    young = ctadata("clean", "-n", "lst")
    dry = ctadata("clean", "--older-than", "0s", "-n", "lst")
    kept = night.paths()
    ran = ctadata("clean", "--older-than", "0s", "-v", "lst/DL3")
    again = ctadata("clean", "--older-than", "0s", "--json", "lst")

    assert young.lines == ["keep  /lst/DL3/.a.ctapart (young)", "keep  /lst/DL3/old/.b.ctapart/ (young)"]
    assert dry.lines == ["remove  /lst/DL3/.a.ctapart", "remove  /lst/DL3/old/.b.ctapart/"]
    assert dry.one_line == "2 parts would be removed (8 B), 0 kept"
    assert len(kept) == 6
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [
        "removed /lst/DL3/.a.ctapart",
        "removed /lst/DL3/old/.b.ctapart/",
        "2 parts removed (8 B), 0 kept",
    ]
    assert again.records == [{"summary": {"done": "cleaned", "dry_run": False, "removed": 0, "size": 0, "kept": 0}}]
    assert len(night.paths()) == 4


def test_local_parts_are_removed_when_asked(ctadata: Run, night: FakeCta) -> None:
    Path("data").mkdir()
    Path("data/.a.ctapart").write_bytes(b"12")
    Path("data/b").write_bytes(b"1")
    night.clear_requests()
    ran = ctadata("clean", "--local", "--json", "--older-than", "0s", "data", "none")

    assert ran.code == 1
    assert ran.error["error"] == "NotFoundError"
    assert ran.records[0] | {"mtime": None} == {
        "fate": "removed",
        "path": "data/.a.ctapart",
        "type": "file",
        "size": 2,
        "mtime": None,
    }
    assert files(Path("data")) == {"b": b"1"}
    assert night.requests == []


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90), ("30m", 1800), ("24h", 86400), ("7d", 604800), ("0.5h", 1800)]
)
def test_times_have_a_unit(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("name", ["sync", "verify", "clean"])
def test_help_has_examples_that_can_be_parsed(name: str, ctadata: Run) -> None:
    import shlex

    from ctadata_providers.cli.parser import parse

    ran = ctadata(name, "--help")
    examples = [line.strip() for line in ran.out.split("examples:\n")[1].splitlines()]

    assert ran.code == 0
    for example in examples:
        command = example.partition(" | ")[0].partition(" && ")[0]
        assert parse(shlex.split(command, comments=True)[1:]).command == name
