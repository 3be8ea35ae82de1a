"""The workflows that storage plugins are measured with, and how each plugin runs them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.long_line import long_line
from benchmarks.programs import CannotRun, Usage, command
from tests.servers.nginx import nginx
from tests.servers.server import Server, work_folder

FILE = os.urandom(5000).hex().encode()
"""10 kB, what each file holds."""
WEBDAV, HTTP = "snakemake-storage-plugin-webdav==0.1.2", "snakemake-storage-plugin-http==0.3.1"
# Their limits of ten requests a second are lifted; webdav's also looks for a setting that there is not.
_UNLIMITED = "import {module} as m; m.StorageProvider.use_rate_limiter = lambda self: False; "
_RUN = "import sys; from snakemake.cli import main; sys.exit(main())"
_VENV = Path(__file__).parent.parent / ".benchmarks" / "peers"
_RATE = 1e9


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One way to reach the files.

    Attributes:
        name: Its row.
        wrap: Turns the expression of a path, or of several, into that of a storage object.
        options: Of Snakemake, with the URL of the server.
        program: What Python runs.
        python: The interpreter that has the plugin.
    """

    name: str
    wrap: Callable[[str], str]
    options: Callable[[str], tuple[str, ...]] = lambda url: ()
    program: str = _RUN
    python: Callable[[], str] = lambda: sys.executable


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running server on a line, and a scratch folder.

    Attributes:
        server: It.
        url: Where plugins reach it.
        folder: Local scratch.
        log: Where the server writes a line for each request.
    """

    server: Server
    url: str
    folder: Path
    log: Path

    def requests(self) -> int:
        """Return how many requests the server has answered since it was asked last."""
        text = self.log.read_bytes()
        os.truncate(self.log, 0)
        return text.count(b"\n")

    def put(self, paths: list[str]) -> None:
        """Put the input files on the server and in the local folder."""
        for root in (self.server.root, self.folder / "local"):
            for path in paths:
                target = root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(FILE)
                if self.server.owner and root == self.server.root:
                    shutil.chown(target, self.server.owner)


@dataclass(kw_only=True)
class Workflow:
    """A workflow on a site, run by one plugin.

    Attributes:
        site: Where its files are.
        plugin: How it reaches them.
        snakefile: Its text, for a plugin's `wrap`.
        options: Of Snakemake.
        outputs: What must be there afterwards, on the server.
    """

    site: Site
    plugin: Plugin
    snakefile: Callable[[Callable[[str], str]], str]
    options: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where it runs."""
        return self.site.folder / "work"

    def prepare(self) -> None:
        """Begin in an empty folder, without outputs."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for root in (self.site.server.root, self.site.folder / "local"):
            shutil.rmtree(root / "out", ignore_errors=True)
            (root / "out").mkdir()
            if self.site.server.owner:
                shutil.chown(root / "out", self.site.server.owner)
        (self.folder / "Snakefile").write_text(self.snakefile(self.plugin.wrap))

    def run(self) -> Usage:
        """Run it."""
        options = ("--cores", "2", "--quiet", "all", *self.options, *self.plugin.options(self.site.url))
        environ = {**os.environ, "HOME": str(self.site.folder), "CTA_DOOR_URL": self.site.url, **self.environ}
        return command([self.plugin.python(), "-c", self.plugin.program, *options], env=environ, cwd=self.folder)

    def check(self) -> None:
        """Raise unless the outputs are there and right."""
        root = self.site.folder / "local" if self.plugin.name == LOCAL.name else self.site.server.root
        for path in self.outputs:
            if not (root / path).exists() or (root / path).read_bytes() != FILE:
                raise CannotRun(f"{path} is missing or wrong")


@contextmanager
def open_line(*, delay: float) -> Iterator[Site]:
    """Run nginx without TLS, which is the same for all, on a line with a delay each way."""
    with work_folder("workflows") as folder, nginx() as server:
        port = urlsplit(server.url).port
        assert port is not None
        log = server.root.parent / "access.log"
        site = Site(server=server, url=server.url, folder=folder, log=log)
        if not delay:
            yield site
            return
        with long_line(port, delay=delay, rate=_RATE) as line:
            yield replace(site, url=f"http://localhost:{line.port}")


def _webdav(url: str) -> tuple[str, ...]:
    return (
        *("--storage-webdav-host", url, "--storage-webdav-username", "nobody", "--storage-webdav-password", "none"),
        *("--storage-webdav-timeout", "30"),
    )


LOCAL = Plugin(name="local files", wrap=lambda path: f"[f'../local/{{p}}' for p in {path}]")
OURS = Plugin(name="ours", wrap=lambda path: f"storage.cta([f'cta://{{p}}' for p in {path}])")


def peers() -> list[Plugin]:
    """Return the plugins of others."""
    return [
        Plugin(
            name="webdav 0.1.2, limiter lifted",
            wrap=lambda path: f"storage.webdav([f'dav://{{p}}' for p in {path}])",
            options=_webdav,
            program=_UNLIMITED.format(module="snakemake_storage_plugin_webdav") + _RUN,
            python=installed,
        ),
        Plugin(
            name="http 0.3.1, limiter lifted",
            wrap=lambda path: f"storage.http([f'{{URL}}/{{p}}' for p in {path}])",
            options=lambda url: ("--config", f"url={url}"),
            program=_UNLIMITED.format(module="snakemake_storage_plugin_http") + _RUN,
            python=installed,
        ),
    ]


@cache
def installed() -> str:
    """Return the interpreter of an environment that holds the plugins of others, made at the first use.

    Raises:
        CannotRun: They cannot be installed.
    """
    python = _VENV / "bin" / "python"
    asked = [sys.executable, "-c", "import snakemake.common as c, json; print(json.dumps(c.__version__))"]
    version = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    steps = [
        [sys.executable, "-m", "venv", str(_VENV)],
        [str(python), "-m", "pip", "install", "-q", f"snakemake=={version}", WEBDAV, HTTP],
    ]
    for argv in steps:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotRun(f"not installed: {(done.stderr.strip() or 'no reason').splitlines()[-1][:120]}")
    return str(python)
