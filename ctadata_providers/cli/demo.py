"""The trial `ctadata demo`: the example analysis by both engines, on a data centre in this process."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ctadata_providers.config.folders import cache_folder
from ctadata_providers.errors import ConfigError, CtaError, IntegrityError

NIGHT = "cta://lst/DL3/20241114"
RESULTS = "cta://lst/users/demo"
HOME = "cta://lst/users/alice"
"""The folder of the hub user whose token the services of `FakeCta` give, and to whom nothing else is open."""
TABLE, PLOT = "table.ecsv", "plot.png"
ENGINES = ("snakemake", "airflow")

_TAIL = 20
_PACKAGES = ("airflow", "airflow_provider_cta", "astropy", "matplotlib", "snakemake", "snakemake_storage_plugin_cta")
# What a user has set for real work must not reach the demo: settings of ours and the engines', by environment or file.
_FOREIGN = ("AIRFLOW", "BEARER_TOKEN", "CTA", "JUPYTERHUB_", "SNAKEMAKE", "X509_", "XDG_CONFIG_", "XDG_STATE_")


def run_demo(*, data: Path | None, output: Path, services: bool = False) -> int:
    """Run the example analysis with Snakemake and with Airflow and compare what they stored.

    A night of event lists is put into a data centre that lives as long as this call. Both workflows read it and store
    a table and a plot there, which are then fetched. The last line on stdout is the path of the plot.

    Args:
        data: A folder with `hdu-index.fits.gz` and the event lists that it names; None makes simulated ones.
        output: Gets `demo.log`, and for each engine a folder with its table and plot; made if missing.
        services: Whether the data centre is reached by the CTA services with a hub token, and not at its door.

    Returns:
        0, the exit code.

    Raises:
        ConfigError: When a package is not installed, or the data folder has no index.
        IntegrityError: When the engines' tables differ.
        CtaError: When a step failed; the message names the log, its end is on stderr.
    """
    if data is not None and not (data / "hdu-index.fits.gz").is_file():
        raise ConfigError(
            f"{data} has no hdu-index.fits.gz", path=data, remedy="name a folder of DL3 files with their index tables"
        )
    _check_installed()
    find_workflows()
    from ctadata_providers.testing import FakeCta
    from ctadata_providers.testing.samples import write_night

    output.mkdir(parents=True, exist_ok=True)
    output = output.resolve()
    # After Ctrl-C a job of an engine may still be writing when the folder is removed.
    with (
        tempfile.TemporaryDirectory(prefix="ctadata-demo-", ignore_cleanup_errors=True) as temporary,
        FakeCta(services=services) as cta,
    ):
        night, results = (f"{HOME}/night", HOME) if services else (NIGHT, RESULTS)
        settings = cta.service_environ() if services else cta.environ()
        scratch = Path(temporary).resolve()
        if data is None:
            data = scratch / "night"
            write_night(data)
        steps = Steps(scratch=scratch, log=output / "demo.log", environ=environment(settings, scratch))
        steps.log.write_text("")
        steps.store_night(data.resolve(), night)
        steps.run_snakemake(night, f"{results}/snakemake")
        steps.run_airflow(night, f"{results}/airflow")
        for engine in ENGINES:
            steps.fetch(f"{results}/{engine}", output / engine)
    report(output)
    return 0


def find_workflows() -> Path:
    """Return the folder `example_workflows`: in the installed package, or beside it in a checkout.

    Raises:
        ConfigError: When it is in neither place.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "example_workflows", package.parent / "example_workflows"):
        if (folder / "dl3_analysis.py").is_file():
            return folder
    raise ConfigError("this installation has no example workflows", remedy="run the demo from a checkout")


def environment(settings: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Return an environment in which both engines use a data centre, and nothing that is set for another.

    The token of a door goes into a file in `scratch`, readable by its owner only; the environment names that file. That
    of a hub stands where a hub would put it, in `JUPYTERHUB_API_TOKEN`.

    Args:
        settings: What `FakeCta.environ` returns, or `FakeCta.service_environ`.
        scratch: An absolute path; gets all that the engines write beside their results.
    """
    # Packages warn of these folders when they are named and missing.
    config, state = scratch / "config", scratch / "state"
    config.mkdir()
    state.mkdir()
    place, connection = _services(settings) if "CTADS_URL" in settings else _door(settings, scratch / "token")
    if "CTA_CA_PATH" in settings:
        connection["ca_path"] = settings["CTA_CA_PATH"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {
        **kept,
        **place,
        "AIRFLOW_CONN_CTA_DEFAULT": json.dumps({"conn_type": "cta", "extra": connection}),
        "AIRFLOW_HOME": str(scratch / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(find_workflows()),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "XDG_CACHE_HOME": str(_cache(scratch)),
        "XDG_CONFIG_HOME": str(config),
        "XDG_STATE_HOME": str(state),
    }


def _cache(scratch: Path) -> Path:
    """Return where the engines keep what they need again: the usual place, if there can be one."""
    usual = cache_folder().parent
    with suppress(OSError):
        usual.mkdir(parents=True, exist_ok=True)
    return usual if os.access(usual, os.W_OK) else scratch / "cache"


def _door(settings: Mapping[str, str], token_file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment and Airflow's connection for a door."""
    place = dict(settings)
    token_file.touch(mode=0o600)
    token_file.write_text(place.pop("BEARER_TOKEN"))
    connection = {"door_url": place["CTA_DOOR_URL"], "token_file": str(token_file)}
    return {**place, "BEARER_TOKEN_FILE": str(token_file)}, connection


def _services(settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment and Airflow's connection for the CTA services: an address and a hub token alone."""
    names = {"service_url": "CTADS_URL", "hub_token": "JUPYTERHUB_API_TOKEN"}
    place = {name: settings[name] for name in (*names.values(), "CTA_CA_PATH") if name in settings}
    return place, {field: settings[name] for field, name in names.items()}


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The steps of the demo, each a command that a user could type.

    Attributes:
        scratch: Absolute path of a folder for all that nobody wants to keep.
        log: An existing file; the commands and all they say is added to it.
        environ: The environment of the commands, see `environment`.
    """

    scratch: Path
    log: Path
    environ: Mapping[str, str]

    def store_night(self, data: Path, night: str) -> None:
        """Upload a folder of event lists with their index."""
        self._run("store the night", "ctadata_providers.cli", "put", "-r", str(data), night)

    def run_snakemake(self, night: str, out: str) -> None:
        """Run the Snakefile on a night and let it store table and plot in the folder `out`."""
        snakefile = find_workflows() / "snakemake" / "Snakefile"
        where = ("--snakefile", str(snakefile), "--directory", str(self.scratch / "snakemake"))
        self._run("Snakemake", "snakemake", "--cores", "2", *where, "--config", f"night={night}", f"out={out}")

    def run_airflow(self, night: str, out: str) -> None:
        """Run the DAG on a night and let it store table and plot in the folder `out`."""
        params = {"night": night, "out": out, "work": str(self.scratch / "work")}
        self._run("Airflow's database", "airflow", "db", "migrate")
        self._run("Airflow", "airflow", "dags", "test", "cta_night", "--conf", json.dumps(params))

    def fetch(self, stored: str, folder: Path) -> None:
        """Download the table and the plot of an engine."""
        folder.mkdir(exist_ok=True)
        self._run(
            f"fetch {folder.name}", "ctadata_providers.cli", "get", f"{stored}/{TABLE}", f"{stored}/{PLOT}", str(folder)
        )

    def _run(self, step: str, module: str, *words: str) -> None:
        """Run a Python module as a command, all that it says into the log, and print how long the step took.

        Raises:
            CtaError: When it fails.
        """
        start = time.monotonic()
        with self.log.open("a", encoding="utf-8") as log:
            print("$", shlex.join(["python", "-m", module, *words]), file=log, flush=True)
            done = subprocess.run(  # noqa: S603  # our own words, and no shell reads them
                [sys.executable, "-m", module, *words],
                env=dict(self.environ),
                cwd=self.scratch,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            said = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            print(*said[-_TAIL:], sep="\n", file=sys.stderr)
            raise CtaError(
                f"step {step!r} ended with exit code {done.returncode}", path=self.log, remedy=f"read {self.log}"
            )
        print(f"{step:20} {time.monotonic() - start:5.1f} s", flush=True)


def report(output: Path) -> None:
    """Compare the engines' tables, print what is in them, and on the last line the path of the plot.

    Raises:
        IntegrityError: When they differ.
    """
    from astropy.table import Table  # type: ignore[import-untyped]  # astropy ships no type information

    first, second = (output / engine / TABLE for engine in ENGINES)
    if first.read_bytes() != second.read_bytes():
        raise IntegrityError(
            f"the tables of {' and '.join(ENGINES)} differ", path=output, remedy=f"compare {first} and {second}"
        )
    table = Table.read(first)
    total = table.meta["STACKED"]
    print(f"Both engines stored the same table: {len(table)} runs ({', '.join(map(str, table['OBS_ID']))}),")
    print(f"excess {total['EXCESS']:.0f} +- {total['EXCESS_ERR']:.0f} events, {total['SIGNIFICANCE']:.1f} sigma.")
    print(f"Tables, plots and a log are in {output}; the plot:")
    print(output / ENGINES[0] / PLOT)


def _check_installed() -> None:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the demo needs packages that are not installed: {', '.join(missing)}",
            remedy="pip install 'ctadata-providers[demo]'",
        )
