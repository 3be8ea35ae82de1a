"""The commands `cta-data` and `cta-data-direct` at a door: what they take and print, and how they end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ctadata_providers.cli import legacy
from ctadata_providers.testing import FakeCta

Files = Callable[[], list[str]]


class Ran(NamedTuple):
    """What a command returned and printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def runner(capsys: pytest.CaptureFixture[str], program: Callable[[list[str]], int]) -> Run:
    """Return a function that runs a program."""

    def run(*arguments: object) -> Ran:
        code = program([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture(params=[legacy.cta_data, legacy.cta_data_direct], ids=["cta-data", "cta-data-direct"])
def run(request: pytest.FixtureRequest, door: FakeCta, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs one of the two programs."""
    return runner(capsys, request.param)


def test_a_listing_prints_names_as_davix_does(run: Run) -> None:
    ran = run("list", "lst/some-data-dir")

    assert (ran.code, sorted(ran.out.splitlines()), ran.err) == (0, ["some-data-file", "sub"], "")


def test_a_listing_as_json_has_the_keys(run: Run) -> None:
    ran = run("list", "--json", "lst/some-data-dir/sub/")
    (record,) = [json.loads(line) for line in ran.out.splitlines()]

    assert (record["href"], record["size"], record["type"]) == ("lst/some-data-dir/sub/b c%20#ü.txt", "2", "file")


def test_a_file_comes_into_the_current_folder(run: Run, files: Files) -> None:
    assert run("get", "lst/some-data-dir/some-data-file").code == 0
    assert files() == ["some-data-file"]


@pytest.mark.parametrize("flags", [(), ("-r",)])
def test_a_name_is_no_pattern(run: Run, files: Files, door: FakeCta, flags: tuple[str, ...]) -> None:
    door.put("/lst/run1.fits", b"another")
    missing = run("get", "lst/run[1].fits", *flags)
    before = files()
    door.put("/lst/run[1].fits", b"this")

    assert (missing.code, before) == (1, [])
    assert "/lst/run[1].fits" in missing.err
    assert run("get", "lst/run[1].fits", *flags).code == 0
    assert files() == ["run[1].fits"]


@pytest.mark.parametrize("flag", ["-r", "--recursive"])
def test_a_folder_comes_under_its_last_name(run: Run, files: Files, flag: str) -> None:
    assert run("get", flag, "lst/some-data-dir").code == 0
    assert run("get", "lst/some-data-dir/", flag).code == 0
    assert files() == ["some-data-dir/some-data-file", "some-data-dir/sub/b c%20#ü.txt"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "lst/no-such-folder"),
        ("get", "lst/no-such-file"),
        ("get", "lst/some-data-dir"),
        ("put", "no-such-file", "lst/t"),
        ("put", ".", "lst/t"),
    ],
)
def test_what_fails_ends_with_1_and_leaves_nothing(
    run: Run, files: Files, door: FakeCta, arguments: tuple[str, ...]
) -> None:
    ran = run(*arguments)

    assert ran.code == 1
    assert (ran.out, len(ran.err.splitlines())) == ("", 1)
    assert files() == []
    assert not door.exists("/lst/t")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("get",),
        ("put", "x"),
        ("list", ""),
        ("copy", "a", "b"),
        ("--dev", "--profile", "prod", "list", "/"),
        ("--dev", "--backend", "downloadservice", "list", "/"),
        ("get", "--include", "*.fits", "lst"),
    ],
)
def test_wrong_usage_ends_with_2(run: Run, door: FakeCta, arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)

    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert door.requests == []


def test_an_upload_completes_the_name_and_makes_folders(run: Run, here: Path, door: FakeCta) -> None:
    (here / "latest-file-list").write_text("x")

    assert run("put", "latest-file-list", "lst/users/alice/lists/").code == 0
    assert run("put", here / "latest-file-list", "/lst/users/alice/lists/other").code == 0
    assert door.get("/lst/users/alice/lists/latest-file-list") == door.get("/lst/users/alice/lists/other") == b"x"


def test_what_is_in_a_folder_is_uploaded_into_the_target(run: Run, here: Path, door: FakeCta) -> None:
    (here / "src" / "sub").mkdir(parents=True)
    (here / "src" / "a").write_text("a")
    (here / "src" / "sub" / "b").write_text("b")
    for _ in range(2):  # into one that exists, too
        assert run("put", "-r", "src", "lst/users/alice/tgt").code == 0

    assert [path for path in door.paths() if "/users/" in path] == [
        "/lst/users/alice/tgt/a",
        "/lst/users/alice/tgt/sub/b",
    ]


def test_one_file_of_a_folder_that_fails_is_told_and_ends_with_1(run: Run, files: Files, door: FakeCta) -> None:
    door.faults.add("forbidden", path="/lst/some-data-dir/some-data-file", method="GET")
    ran = run("get", "-r", "lst/some-data-dir")

    assert ran.code == 1
    assert "/lst/some-data-dir/some-data-file" in ran.err
    assert files() == ["some-data-dir/sub/b c%20#ü.txt"]


@pytest.mark.parametrize("name", ["print-token", "get-token"])
def test_the_token_is_printed_alone(run: Run, door: FakeCta, name: str) -> None:
    ran = run(name)

    assert (ran.code, ran.out) == (0, f"{door.token}\n")
    assert ran.err.startswith("valid till ")


def test_dev_is_the_profile_of_that_name_before_and_after_the_command(
    run: Run, door: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile = tmp_path / "ctadata-providers" / "config.toml"
    profile.parent.mkdir()
    profile.write_text(f'[profiles.dev]\ndoor_url = "{door.door_url}"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CTA_DOOR_URL")

    for arguments in (("-d", "list", "lst"), ("--dev", "list", "lst"), ("list", "lst", "-d")):
        assert run(*arguments).out == "some-data-dir\n"


def test_a_secret_in_the_command_line_is_refused(run: Run) -> None:
    for option in ("-s", "--secret", "--reset_secret"):
        ran = run("start-agent", option, "visible")

        assert ran.code == 2
        assert "visible" not in ran.err


def test_an_agent_that_does_not_run_is_stopped_already(run: Run) -> None:
    assert run("stop-agent").code == 0


def test_the_version_tells_the_package(run: Run) -> None:
    ran = run("--version")

    assert ran.code == 0
    assert ran.out.startswith("cta-data")
    assert "ctadata-providers" in ran.out


def test_the_help_names_every_command_of_ctadata(run: Run) -> None:
    shown = run("--help").out

    assert all(
        name in shown for name in ("list", "get", "put", "start-agent", "stop-agent", "print-token", "get-token")
    )


def test_cta_data_direct_stays_at_the_door(
    door: FakeCta, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTADS_URL", "https://127.0.0.1:1/services/downloadservice/")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "a-token-of-a-hub")
    run = runner(capsys, legacy.cta_data_direct)

    assert run("list", "lst").out == "some-data-dir\n"
    assert run("--backend", "downloadservice", "list", "lst").code == 2
