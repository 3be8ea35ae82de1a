"""What an import and a start of Snakemake cost."""

import importlib.util
import sys
from functools import partial
from pathlib import Path

from benchmarks.programs import NOT_INSTALLED, Usage, command
from benchmarks.runner import Entry, Scenario

_PLUGIN = "snakemake_storage_plugin_cta"
_ROUNDS = 3
_BARE = "python -c pass"
# What a first request loads, too: the libraries that the import leaves alone.
_READY = "import ctadata_providers as c, pycurl, requests; c.CtaClient"
_RUN_SNAKEMAKE = "import sys; from snakemake.cli import main; main()"
_HIDE_PLUGIN = (
    f"import os, sys; sys.path[:] = [p for p in sys.path if not os.path.isdir(os.path.join(p, {_PLUGIN!r}))]; "
)
_SNAKEFILES = {
    "empty": "rule all:\n    input: []\n",
    "used": ('storage:\n    provider="cta",\n    door_url="https://localhost:1",\n\n\nrule all:\n    input: []\n'),
}


def imports() -> Scenario:
    """Import the package, the front, and what a first request needs."""
    programs = {
        _BARE: "pass",
        "import ctadata_providers": "import ctadata_providers",
        "from ctadata_providers import CtaClient": "from ctadata_providers import CtaClient",
        "the same with pycurl and requests loaded": _READY,
        f"import {_PLUGIN}": f"import {_PLUGIN}",
        "import requests": "import requests",
    }
    entries = [
        Entry(name=name, run=partial(command, [sys.executable, "-c", program])) for name, program in programs.items()
    ]
    return Scenario(key="imports", title="Import, whole process", entries=entries, peers=[_BARE, "import requests"])


def snakemake(folder: Path) -> Scenario:
    """Dry-run an empty workflow without the plugin, with it, and with it in use."""
    for name, text in _SNAKEFILES.items():
        (folder / f"{name}.smk").write_text(text)
    hidden, installed, used = "plugin hidden", "plugin installed", "plugin used by the workflow"
    runs = {
        hidden: (_HIDE_PLUGIN + _RUN_SNAKEMAKE, "empty"),
        installed: (_RUN_SNAKEMAKE, "empty"),
        used: (_RUN_SNAKEMAKE, "used"),
    }
    missing: dict[str, str] = {}
    if importlib.util.find_spec("snakemake") is None or importlib.util.find_spec("snakemake.cli") is None:
        missing = dict.fromkeys(runs, f"Snakemake {NOT_INSTALLED}")
    elif _in_site_packages():
        missing = {hidden: "cannot be hidden: not an editable installation"}
    entries = [
        Entry(name=name, run=partial(_dry_run, folder, program, snakefile))
        for name, (program, snakefile) in runs.items()
        if name not in missing
    ]
    return Scenario(
        key="snakemake",
        title="Snakemake, dry run of an empty workflow",
        entries=entries,
        peers=[hidden],
        missing=missing,
        repeats=_ROUNDS,
    )


def _dry_run(folder: Path, program: str, snakefile: str) -> Usage:
    arguments = ["--dry-run", "--quiet", "all", "--cores", "1", "--snakefile", f"{snakefile}.smk"]
    return command([sys.executable, "-c", program, *arguments], cwd=folder)


def _in_site_packages() -> bool:
    found = importlib.util.find_spec(_PLUGIN)
    return found is not None and found.origin is not None and "site-packages" in found.origin
