"""Every Python example of ctadata's documentation runs, with the services and at a door."""

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.compat import examples

Files = Callable[[], list[str]]
NIGHT = "/cta/DL1/20241114/v0.1"
NAME = "dl1_LST-1.Run11111.0100.h5"


@pytest.fixture
def night(door: FakeCta, here: Path) -> FakeCta:
    """What the examples speak of."""
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        file["dl1"] = [1, 2, 3]
    for name in (NAME, f"datacheck_{NAME}", "dl1_LST-1.Run11111.0101.h5", "dl1_LST-1.Run11112.0100.h5"):
        door.put(f"{NIGHT}/{name}", held.getvalue())
    for name in ("latest.txt", "example.txt"):
        (here / name).write_text(name)
    return door


@pytest.fixture(params=[examples.DIRECT, examples.COMPAT], ids=["direct", "compat at a door"])
def run(request: pytest.FixtureRequest, night: FakeCta, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Runs the text of an example after an import line, and returns what it prints."""

    def run(example: str) -> str:
        exec(compile(request.param + example, "example", "exec"), {})
        return capsys.readouterr().out

    return run


def test_a_listing(run: Callable[[str], str]) -> None:
    assert run(examples.LISTING) == "DL1\n"


def test_the_files_that_are_meant_are_fetched_and_read(run: Callable[[str], str], files: Files) -> None:
    printed = run(examples.FILTERED)

    assert [line.split()[0] for line in printed.splitlines()] == ["stored", "found"]
    assert "['dl1']" in printed
    assert files() == [NAME, "example.txt", "latest.txt"]


def test_a_file_and_a_folder(run: Callable[[str], str], files: Files) -> None:
    run(examples.FILE)
    run(examples.FOLDER)

    assert {"some-data-file", "some-data-dir/some-data-file", "some-data-dir/sub/b c%20#ü.txt"} < set(files())


@pytest.mark.parametrize("example", [examples.UPLOAD, examples.DIRECT_UPLOAD])
def test_an_upload(run: Callable[[str], str], night: FakeCta, example: str) -> None:
    run(example)

    assert night.get("your-folder/new-file-name.md") == night.get("your-folder/latest.txt") == b"latest.txt"


def test_the_client_of_webdav4(run: Callable[[str], str], night: FakeCta) -> None:
    run(examples.WEBDAV)

    assert night.get("remote/example.txt") == b"example.txt"


def test_the_dev_instance(
    run: Callable[[str], str], night: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile = tmp_path / "ctadata-providers" / "config.toml"
    profile.parent.mkdir()
    profile.write_text(f'[profiles.dev]\ndoor_url = "{night.door_url}"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CTA_DOOR_URL")

    assert sorted(run(examples.DEV).split()) == ["cta", "lst"]
