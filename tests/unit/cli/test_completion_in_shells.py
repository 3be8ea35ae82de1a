"""Completion as the shells do it: a line that is typed, the tabulator key, and the line that comes of it."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.cli.terminals import Terminal, is_there

NAMES = ("a.fits", "my file #1.h5", "it's", "größe.txt", 'tell "x"', "$HOME", "p%41q[1]", "one:two=3", "sub/x")


@pytest.fixture
def night(fake_cta: FakeCta) -> FakeCta:
    for name in NAMES:
        fake_cta.put(f"/lst/DL1/{name}", b"")
    return fake_cta


def _shell(name: str, *marks: pytest.MarkDecorator) -> object:
    return pytest.param(name, marks=(pytest.mark.skipif(not is_there(name), reason=f"there is no {name}"), *marks))


@pytest.fixture(params=[_shell("bash"), _shell("zsh", pytest.mark.real), _shell("fish", pytest.mark.real)])
def terminal(
    request: pytest.FixtureRequest,
    cta_environ: object,
    night: FakeCta,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Terminal]:
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    home = tmp_path / "home"
    (home / "lst").mkdir(parents=True)
    with Terminal(request.param, home) as opened:
        yield opened


def test_commands_and_options_are_completed(terminal: Terminal) -> None:
    assert terminal.completed("ctadata logi") == "ctadata login "
    assert terminal.completed("ctadata token sh") == "ctadata token show "
    assert terminal.completed("ctadata list --check") == "ctadata list --checksum "
    assert terminal.completed("ctadata list --checksum req") == "ctadata list --checksum require "
    assert terminal.completed("ctadata list --checksum=req").rstrip() == "ctadata list --checksum=require"


def test_folders_are_completed_with_no_blank_behind(terminal: Terminal) -> None:
    for prefix in ("lst/", "/lst/", "cta://lst/"):
        assert terminal.completed(f"ctadata list {prefix}D") == f"ctadata list {prefix}DL1/"
        assert terminal.completed(f"ctadata list -l {prefix}DL1/su") == f"ctadata list -l {prefix}DL1/sub/"
        assert terminal.completed(f"ctadata get {prefix}DL1/a") == f"ctadata get {prefix}DL1/a.fits "


def test_the_begin_of_an_address_is_completed(terminal: Terminal) -> None:
    assert terminal.completed("ctadata list cta:") == "ctadata list cta://"
    assert terminal.completed("ctadata list cta:/") == "ctadata list cta://"


def test_a_name_is_quoted_so_that_the_shell_takes_it_as_it_is(terminal: Terminal) -> None:
    for prefix in ("lst/DL1/", "cta://lst/DL1/"):
        for name in NAMES[:-1]:
            line = terminal.completed(f"ctadata list {prefix}{shlex.quote(name[0])}")

            assert shlex.split(line) == ["ctadata", "list", prefix + name]
            assert line.endswith(" ")


def test_a_name_that_is_quoted_already_is_completed(terminal: Terminal) -> None:
    for start in ("lst/DL1/my", "cta://lst/DL1/my f"):
        for typed in (f"'{start}", f'"{start}', start.replace(" ", "\\ ")):
            line = terminal.completed(f"ctadata list {typed}")

            assert shlex.split(line) == ["ctadata", "list", f"{start.rpartition('my')[0]}my file #1.h5"]


def test_names_are_shown_where_there_are_several(terminal: Terminal) -> None:
    shown = terminal.shown("ctadata list lst/DL1/")

    if terminal.shell == "fish":  # it shows them only on a terminal that can do more
        assert shlex.split(shown.partition("<<")[2].partition(">>")[0])[2].removeprefix("lst/DL1/") in NAMES
    else:
        assert {"a.fits", "größe.txt"} <= set(shown.split())


def test_nothing_happens_where_there_is_nothing(terminal: Terminal, night: FakeCta) -> None:
    night.faults.add("unauthorized", method="PROPFIND")

    assert terminal.completed("ctadata list lst/DL1/a") == "ctadata list lst/DL1/a"
    assert terminal.completed("ctadata list lst/none/a") == "ctadata list lst/none/a"
