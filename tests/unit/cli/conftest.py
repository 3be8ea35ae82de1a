"""Run commands against a data centre in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.cli import main
from ctadata_providers.testing import FakeCta


@dataclass(frozen=True)
class Ran:
    """What a command printed and returned."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    @property
    def one_line(self) -> str:
        """The only line on stderr."""
        (line,) = self.err.splitlines()
        return line

    @property
    def error(self) -> dict[str, Any]:
        return dict(json.loads(self.err))


@pytest.fixture
def ctadata(
    cta_environ: object, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Run a command against the fake, in an empty folder and without a user's configuration."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def run(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return run


@pytest.fixture
def night(fake_cta: FakeCta) -> FakeCta:
    """A small tree of files."""
    fake_cta.put("/lst/DL3/a.fits", b"aaaa")
    fake_cta.put("/lst/DL3/b.fits", b"bb")
    fake_cta.put("/lst/DL3/notes.txt", b"n")
    fake_cta.put("/lst/DL3/old/c.fits", b"cccccc")
    return fake_cta
