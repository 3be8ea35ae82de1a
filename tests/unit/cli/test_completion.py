"""What may follow on a command line."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import Config
from ctadata_providers.cli import main
from ctadata_providers.cli.completion import SHELLS, remote
from ctadata_providers.cli.completion.line import split_line
from ctadata_providers.cli.completion.words import candidates
from ctadata_providers.cli.parser import command_line
from ctadata_providers.credentials.oidc import renewal
from ctadata_providers.credentials.oidc.sessions import log_in
from ctadata_providers.testing import FakeCta

Complete = Callable[..., list[str]]
BREAKS = " \t\n\"'@><=;|&(:"
COMPLETE = [sys.executable, "-m", "ctadata_providers.cli", "__complete"]


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the user's own; returns the working folder."""
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def complete(cta_environ: object) -> Complete:
    """Return what the last of some words may become."""
    return lambda *words: [one.text for one in candidates(words[:-1], words[-1]).items]


@pytest.fixture
def user_file(tmp_path: Path, cta_environ: object, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's profiles are."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "config" / "ctadata-providers" / "config.toml"
    file.parent.mkdir(parents=True)
    return file


@pytest.fixture
def night(fake_cta: FakeCta) -> FakeCta:
    for name in ("a.fits", "my file #1.h5", "it's", "größe", ".hidden", "sub/x"):
        fake_cta.put(f"/lst/DL1/{name}", b"")
    fake_cta.clear_requests()
    return fake_cta


def test_commands_are_completed_but_not_their_other_names(complete: Complete) -> None:
    assert complete("l") == ["list", "login", "logout"]
    assert complete("token", "") == ["show", "refresh"]
    assert complete("--json", "-v", "do") == ["doctor"]
    assert complete("start-a") == []
    assert complete("no-such-command", "x") == []


def test_options_are_those_of_the_command(complete: Complete) -> None:
    assert complete("list", "--ch") == ["--checksum"]
    assert "--range" in complete("cat", "lst/x", "--")
    assert "--range" not in complete("list", "--")
    assert complete("list", "--", "--") == []
    assert {"-h", "--human", "-s"} <= set(complete("du", "-"))


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["list", "--checksum", ""], ["auto", "require", "off"]),
        (["list", "--checksum=r"], ["--checksum=require"]),
        (["list", "--refresh", "n"], ["never"]),
        (["get", "--on-error", ""], ["stop", "continue"]),
        (["completion", ""], list(SHELLS)),
        (["--profile", ""], ["prod", "dev"]),
        (["list", "--retries", ""], []),
    ],
)
def test_values_that_are_few_are_completed(words: list[str], values: list[str], complete: Complete) -> None:
    assert complete(*words) == values


def test_profiles_of_the_user_are_completed(complete: Complete, user_file: Path) -> None:
    user_file.write_text("[profiles.site]\n")

    assert complete("--profile", "s") == ["site"]
    user_file.write_text("broken [")
    assert complete("--profile", "p") == ["prod"]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", ["lst/"]),
        ("/", ["/lst/"]),
        ("ls", ["lst/"]),
        ("lst/DL1/a", ["lst/DL1/a.fits"]),
        ("lst/DL1/my", ["lst/DL1/my file #1.h5"]),
        ("lst/DL1/i", ["lst/DL1/it's"]),
        ("/lst/DL1/gr", ["/lst/DL1/größe"]),
        ("lst/DL1/.", ["lst/DL1/.hidden"]),
        ("lst/DL1/s", ["lst/DL1/sub/"]),
        ("cta://", ["cta://lst/"]),
        ("cta://l", ["cta://lst/"]),
        ("cta:///l", ["cta:///lst/"]),
        ("cta://lst/DL1/a", ["cta://lst/DL1/a.fits"]),
        ("cta://site@l", ["cta://site@lst/"]),
        ("cta://site@lst/D", ["cta://site@lst/DL1/"]),
        ("ct", ["cta://"]),
        ("cta:", ["cta://"]),
        ("cta:/", ["cta://"]),
        ("lst/none/x", []),
        ("lst/DL1/a.fits/", []),
        ("lst//x", []),
        ("https://x/", []),
        ("cta://no-such-profile@", []),
    ],
)
def test_remote_paths_are_completed(
    typed: str, found: list[str], complete: Complete, night: FakeCta, user_file: Path
) -> None:
    user_file.write_text(f'[profiles.site]\ndoor_url = "{night.door_url}"\n')

    assert complete("list", "-l", typed) == found


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["ls", ""], {"lst/"}),
        (["get", ""], {"lst/"}),
        (["get", "lst/DL1/a.fits", ""], {"lst/", "here.txt", "own/"}),
        (["get", "lst/x", "own/"], {"own/mine"}),
        (["put", ""], {"here.txt", "own/"}),
        (["put", "-r", "own", "-v", "l"], {"lst/"}),
        (["put", "a", "b", "c", "ow"], {"own/"}),
        (["sync", ""], {"here.txt", "own/"}),
        (["sync", "own", "cta://l"], {"cta://lst/"}),
        (["sync", "own", "c"], {"cta://"}),
        (["verify", "o"], {"own/"}),
        (["verify", "own", "l"], {"lst/"}),
        (["verify", "own", "lst", ""], set()),
        (["clean", "l"], {"lst/"}),
        (["clean", "--local", "o"], {"own/"}),
        (["mv", "lst/x", "l"], {"lst/"}),
        (["cat", "-n", "l"], {"lst/"}),
        (["rm", "--", "l"], {"lst/"}),
        (["head", "-n5", "l"], {"lst/"}),
        (["head", "-n", "5", "l"], {"lst/"}),
        (["tree", "-dL", "2", "l"], {"lst/"}),
        (["proxy", "info", "h"], {"here.txt"}),
        (["list", "--token-file", "h"], {"here.txt"}),
        (["list", "--token-file=h"], {"--token-file=here.txt"}),
        (["login", ""], set()),
        (["doctor", "x"], set()),
    ],
)
def test_an_argument_is_remote_or_local_as_the_command_takes_it(
    words: list[str], wanted: set[str], complete: Complete, night: FakeCta, apart: Path
) -> None:
    (apart / "own").mkdir()
    (apart / "own" / "mine").touch()
    (apart / "here.txt").touch()
    (apart / ".hidden").touch()

    assert set(complete(*words)) == wanted


def test_every_command_with_arguments_says_what_they_are(apart: Path, complete: Complete) -> None:
    (apart / "here.txt").touch()
    commands = command_line()._subparsers
    assert commands is not None
    (action,) = commands._group_actions
    with_paths = [
        name
        for name, parser in action.choices.items()  # type: ignore[union-attr]  # those of sub-commands
        if any(not one.option_strings and one.choices is None for one in parser._actions)
    ]

    assert {"list", "get", "put", "cp", "rm", "mv", "mkdir", "stat", "cat", "head", "tree", "du"} <= set(with_paths)
    for name in with_paths:
        assert candidates([name], "").kind == "paths", name


def test_the_settings_of_the_line_are_used(complete: Complete, night: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTA_DOOR_URL", "https://no.such.host.invalid")
    door = ["--door-url", night.door_url]

    assert complete("list", *door, "--base-path=/lst", "") == ["DL1/"]
    assert complete(*door, "list", "l") == ["lst/"]
    assert complete("list", "l") == []


def test_a_folder_is_asked_for_once_in_a_while(
    complete: Complete, night: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for typed in ("lst/DL1/a", "lst/DL1/m", "/lst/DL1/i", "cta://lst/DL1/"):
        assert complete("list", typed)
    asked = len(night.requests)
    later = time.time() + remote.FRESH + 1
    monkeypatch.setattr(remote.time, "time", lambda: later)
    complete("list", "lst/DL1/a")
    kept = list((tmp_path / "XDG_CACHE_HOME").rglob("*.json"))

    assert asked == 1
    assert len(night.requests) == 2
    assert [oct(file.stat().st_mode & 0o777) for file in kept] == ["0o600"]
    assert oct(kept[0].parent.stat().st_mode & 0o777) == "0o700"


def test_a_refused_credential_is_not_sent_again_with_every_key(
    complete: Complete, night: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", "an-opaque-token-of-nobody")
    for _ in range(5):
        assert complete("list", "lst/DL1/") == []

    assert len([request for request in night.requests if request.status == 401]) <= 2


def test_a_silent_server_is_not_waited_for(complete: Complete, night: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PATIENCE", 0.2)
    fault = night.faults.add("stall", method="PROPFIND")

    assert complete("list", "lst/DL1/") == []
    assert complete("list", "lst/DL1/") == []
    assert fault.hits == 1


def test_a_listing_that_breaks_off_completes_nothing(complete: Complete, night: FakeCta) -> None:
    night.faults.add("broken-listing", method="PROPFIND")

    assert complete("list", "lst/DL1/") == []


def test_a_login_is_used_and_an_expired_token_of_it_is_not_renewed(
    complete: Complete, night: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(remote, "FRESH", -1.0)
    monkeypatch.setattr(remote, "REFUSED", -1.0)
    for name, value in {**night.oidc_environ(), "BEARER_TOKEN": "", "XDG_RUNTIME_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    night.issuer.configure(token_lifetime=600.0)
    night.issuer.approve_next()
    log_in(Config.from_env(), None, lambda grant: None, sleep=lambda seconds: None)
    found = complete("list", "lst/DL1/a")
    monkeypatch.setattr(renewal, "READER_PATIENCE", 0.0)
    later = time.time() + 700
    monkeypatch.setattr("time.time", lambda: later)
    night.clear_requests()

    assert found == ["lst/DL1/a.fits"]
    assert complete("list", "lst/DL1/a") == []
    assert night.issuer.grants("refresh_token") == []


@pytest.mark.parametrize(
    ("line", "words", "current", "cut"),
    [
        ("ctadata list ", ["ctadata", "list"], "", 0),
        ("ctadata  list\tlst/a", ["ctadata", "list"], "lst/a", 0),
        (r"ctadata list a\ b\#c", ["ctadata", "list"], "a b#c", 0),
        ("ctadata list 'a b' \"c d", ["ctadata", "list", "a b"], "c d", 0),
        ("ctadata list 'it'\\''s", ["ctadata", "list"], "it's", 3),
        ('ctadata list "a\\"b\\n', ["ctadata", "list"], 'a"b\\n', 0),
        ("ctadata list cta://l", ["ctadata", "list"], "cta://l", 4),
        ("ctadata list cta://dev@l", ["ctadata", "list"], "cta://dev@l", 10),
        (r"ctadata list cta\://l", ["ctadata", "list"], "cta://l", 0),
        ("ctadata list 'cta://l", ["ctadata", "list"], "cta://l", 0),
        ("ctadata list lst/'a b'/c", ["ctadata", "list"], "lst/a b/c", 0),
        ("ctadata list lst/'a b", ["ctadata", "list"], "lst/a b", 4),
        ("ctadata --profile=de", ["ctadata"], "--profile=de", 10),
        ("ctadata list '' x", ["ctadata", "list", ""], "x", 0),
        ("ctadata list x\\", ["ctadata", "list"], "x", 0),
        ("ctadata cat a 2> log b", ["ctadata", "cat", "a"], "b", 0),
        ("ctadata cat a >log b", ["ctadata", "cat", "a"], "b", 0),
    ],
)
def test_a_line_is_taken_apart_as_bash_does(line: str, words: list[str], current: str, cut: int) -> None:
    typed = split_line(line, BREAKS)

    assert (typed.words, typed.current, typed.cut, typed.redirected) == (words, current, cut, False)


@pytest.mark.parametrize(
    "line", ["ctadata cat a > lo", "ctadata cat a >lo", "ctadata cat a 2>lo", "ctadata cat a >> lo"]
)
def test_where_output_goes_is_a_local_file(line: str, apart: Path) -> None:
    (apart / "log").touch()
    typed = split_line(line, BREAKS)

    assert (typed.words[-1], typed.current, typed.redirected) == ("a", "lo", True)
    assert [one.text for one in candidates(["cat", "a"], "lo", redirected=True).items] == ["log"]


def test_a_line_without_colons_among_its_breaks_is_not_cut() -> None:
    assert split_line("ctadata list cta://l", " ").cut == 0


def asked(shell: str, typed: bytes, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """Ask as the script of a shell does."""
    environ = {**os.environ, "COMP_WORDBREAKS": BREAKS, **environment}
    return subprocess.run([*COMPLETE, shell], input=typed, capture_output=True, check=False, env=environ, timeout=30)


def test_the_answer_has_a_line_for_each_and_for_bash_what_readline_replaces(
    cta_environ: object, night: FakeCta
) -> None:
    bash = asked("bash", b"ctadata list cta://lst/DL1/gr")
    other = asked("zsh", b"list\0lst/DL1/gr\0")
    commands = asked("fish", b"logi\0")

    assert bash.stdout == "paths\n//lst/DL1/größe\n".encode()
    assert other.stdout == "paths\nlst/DL1/größe\n".encode()
    assert commands.stdout.startswith(b"words\nlogin\tlog in ")


@pytest.mark.parametrize("typed", [b"", b"\xff\0", b"list\0\xff\xfe\0", b"\0\0\0"])
@pytest.mark.parametrize("shell", [*SHELLS, "tcsh"])
def test_nothing_is_said_to_strange_questions(shell: str, typed: bytes, cta_environ: object, night: FakeCta) -> None:
    assert asked(shell, typed).stderr == b""


def test_nothing_is_said_without_a_credential_or_a_server(tmp_path: Path) -> None:
    environment = {
        "HOME": str(tmp_path),
        "CTA_DOOR_URL": "https://localhost:1",
        "BEARER_TOKEN": "",
        "BEARER_TOKEN_FILE": "/does/not/exist",
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    ran = asked("bash", b"ctadata list lst/", **environment)

    assert (ran.stdout, ran.stderr) == (b"paths\n", b"")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out

    assert f"__complete {shell}" in printed
    assert re.search(r"^# ?.*ctadata completion " + shell, printed, re.MULTILINE)


def test_another_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "choose from" in capsys.readouterr().err
