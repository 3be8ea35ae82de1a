"""Makes storage objects, and runs whole workflows in the real engine, against a data centre on loopback."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from snakemake_storage_plugin_cta import StorageObject, StorageProvider, StorageProviderSettings

from ctadata_providers.testing import FakeCta
from tests.places import AS_PLAIN_USER

_OURS = ("CTA_", "BEARER_TOKEN", "X509_", "SNAKEMAKE_", "XDG_")


@dataclass(frozen=True)
class Outcome:
    """How a run of Snakemake ended and all that it said."""

    code: int
    text: str


@dataclass
class Workdir:
    """A folder with a Snakefile, run by `python -m snakemake`, whose environment points at the data centre."""

    path: Path
    cta: FakeCta
    environ: dict[str, str] = field(repr=False)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def follow(self, environ: Mapping[str, str]) -> None:
        """Point at another data centre, whose settings are in an environment."""
        self.environ |= {name: environ[name] for name in self.cta.environ()}

    def write(self, snakefile: str) -> None:
        (self.path / "Snakefile").write_text(snakefile, encoding="utf-8")

    def start(self, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*AS_PLAIN_USER, sys.executable, "-m", "snakemake", "--cores", "2", "--nocolor", *options],
            cwd=self.path,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *options: str) -> Outcome:
        process = self.start(*options)
        text, _ = process.communicate(timeout=60)
        assert self.cta.token not in text, "the token was shown"
        assert "RetryError" not in text, "the interface's retry hid the reason"
        return Outcome(process.returncode, text)

    def succeed(self, *options: str) -> str:
        outcome = self.run(*options)
        assert outcome.code == 0, outcome.text
        return outcome.text

    def fail(self, *options: str) -> str:
        outcome = self.run(*options)
        assert outcome.code != 0, outcome.text
        return outcome.text

    def asked(self, method: str) -> list[str]:
        """The paths of all requests of a method at the door, in order."""
        return [r.path for r in self.cta.requests if r.server == "door" and r.method == method]

    @property
    def copies(self) -> Path:
        return self.path / ".snakemake" / "storage" / "cta"


def kill_while_it_writes(process: subprocess.Popen[str], folder: Path) -> None:
    """End a process group without notice as soon as there are bytes in a part below a folder."""
    for _ in range(3000):
        if any(path.stat().st_size for path in folder.rglob("*") if path.is_file()):
            break
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def local_file(made: StorageObject, content: bytes) -> Path:
    """Make the local copy of an object."""
    local: Path = made.local_path()
    local.parent.mkdir(parents=True, exist_ok=True)
    local.write_bytes(content)
    return local


@pytest.fixture
def workdir(fake_cta: FakeCta, tmp_path: Path) -> Iterator[Workdir]:
    path, home = tmp_path / "work", tmp_path / "home"
    path.mkdir()
    home.mkdir()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    workdir = Workdir(path, fake_cta, {**inherited, "HOME": str(home), **fake_cta.environ()})
    yield workdir
    for process in workdir.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def with_runs(fake_cta: FakeCta) -> Callable[[int], list[str]]:
    """Stores small input files below /lst/DL3 and gives their paths."""

    def put(count: int) -> list[str]:
        paths = [f"/lst/DL3/run_{number}.txt" for number in range(1, count + 1)]
        for path in paths:
            fake_cta.put(path, f"{path}\n".encode())
        return paths

    return put


@pytest.fixture
def fake_root(tmp_path: Path, cta_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that a data centre of its own serves, in which a test can set times."""
    root = tmp_path / "root"
    root.mkdir()
    with FakeCta(root=root) as cta:
        for name, value in cta.environ().items():
            monkeypatch.setenv(name, value)
        yield root


@pytest.fixture
def new_provider(tmp_path: Path) -> Callable[..., StorageProvider]:
    def make(**settings: object) -> StorageProvider:
        given = StorageProviderSettings()
        given.__dict__.update(settings)  # as Snakemake does with the keywords of `storage:`
        return StorageProvider(tmp_path / "copies", logging.getLogger(__name__), settings=given)

    return make


@pytest.fixture
def make(new_provider: Callable[..., StorageProvider]) -> Callable[[str], StorageObject]:
    """Makes storage objects of one provider."""
    provider = new_provider()
    return lambda query: provider.object(query)


@pytest.fixture
def make_for_jobs(new_provider: Callable[..., StorageProvider]) -> Callable[..., list[StorageObject]]:
    """Makes objects as Snakemake does for its jobs: they will be asked for."""
    provider = new_provider()
    return lambda *queries: [StorageObject(query, False, True, provider) for query in queries]
