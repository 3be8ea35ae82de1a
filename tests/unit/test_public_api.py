"""What the package promises before anything is done: names, version, light imports, constructors without I/O."""

import importlib.resources
import json
import os
import subprocess
import sys
from importlib.metadata import requires, version

import pytest
from packaging.requirements import Requirement

import ctadata_providers
from ctadata_providers import errors

DISTRIBUTIONS = ("ctadata-providers", "snakemake-storage-plugin-cta", "airflow-provider-cta")
HEAVY = (
    "requests",
    "urllib3",
    "pycurl",
    "cryptography",
    "rich",
    "authlib",
    "zlib_ng",
    "snakemake",
    "airflow",
    "aiohttp",
)
# What a constructor must not do; names of CPython's audit events.
IO_EVENTS = (
    "open",
    "socket.",
    "os.listdir",
    "os.scandir",
    "subprocess.",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "shutil.",
)

LOADED = """
import json, sys
{act}
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
AUDITED = """
import json, sys
import pycurl, requests, ssl
from ctadata_providers import Config, CtaClient
import ctadata_providers.backends.memory, ctadata_providers.backends.webdav, ctadata_providers.session.messages
from ctadata_providers.backends import open_backend
from ctadata_providers.credentials import ClientCertificate, resolve
from ctadata_providers.credentials.tokens import FileToken
from pathlib import Path
seen = []
sys.addaudithook(lambda event, arguments: seen.append([event, str(arguments)]))
{act}
found = list(seen)
print(json.dumps(found))
"""


def python(code: str) -> list[str]:
    """Run code in a fresh interpreter and return what it prints, read as JSON."""
    environ = {**os.environ, "BEARER_TOKEN_FILE": "/does/not/exist", "CTA_PROFILE": "no-such-profile"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    return list(json.loads(done.stdout))


def test_the_three_distributions_have_one_version() -> None:
    installed = {name: version(name) for name in DISTRIBUTIONS}

    assert set(installed.values()) == {ctadata_providers.__version__}


@pytest.mark.parametrize("name", DISTRIBUTIONS[1:])
def test_a_package_for_an_engine_takes_the_core_of_its_own_version(name: str) -> None:
    needed = {needs.name: needs.specifier for needs in map(Requirement, requires(name) or ())}

    assert ctadata_providers.__version__ in needed["ctadata-providers"]


def test_every_public_name_can_be_imported() -> None:
    for name in ctadata_providers.__all__:
        assert getattr(ctadata_providers, name) is not None
    assert sorted(ctadata_providers.__all__) == ctadata_providers.__all__ == dir(ctadata_providers)


def test_the_front_and_every_error_are_public() -> None:
    kinds = {
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.CtaError)
    }

    assert kinds | {"CtaClient", "Config", "FileInfo", "TransferResult", "TreeResult"} <= set(ctadata_providers.__all__)
    assert ctadata_providers.NotFoundError is errors.NotFoundError


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ctadata_providers.no_such_name


@pytest.mark.parametrize(
    "act",
    [
        "import ctadata_providers",
        "import ctadata_providers.testing.pytest_plugin",
        "import ctadata_providers.errors, ctadata_providers.uri, ctadata_providers.config, ctadata_providers.retry",
    ],
)
def test_an_import_loads_no_heavy_library(act: str) -> None:
    assert not set(python(LOADED.format(act=act))) & set(HEAVY)


@pytest.mark.parametrize(
    "act",
    [
        "from ctadata_providers import CtaClient; CtaClient(); CtaClient(backend='memory')",
        "from ctadata_providers import Config; Config(); Config.from_mapping({'token': 'x'})",
        "from ctadata_providers import NotFoundError, uri",
    ],
)
def test_a_client_that_does_nothing_loads_no_transfer_library(act: str) -> None:
    assert not set(python(LOADED.format(act=act))) & (set(HEAVY) - {"zlib_ng"})


@pytest.mark.parametrize(
    "act",
    [
        """
CtaClient()
CtaClient(profile="no-such-profile", token_file="/does/not/exist")
CtaClient(Config(proxy_file="/does/not/exist", ca_path="/does/not/exist"))
""",
        """
Config(token_file="/does/not/exist", door_url="https://no.such.host.invalid")
open_backend(Config(token_file="/does/not/exist", ca_path="/does/not/exist"))
open_backend(Config(backend="memory"))
resolve(Config(token_file="/does/not/exist"))
FileToken(Path("/does/not/exist")), ClientCertificate(Path("/does/not/exist"))
""",
    ],
    ids=["client", "parts"],
)
def test_a_constructor_does_no_io(act: str) -> None:
    events = [event for event in python(AUDITED.format(act=act)) if event[0].startswith(IO_EVENTS)]

    assert events == []


def test_the_audit_sees_io() -> None:
    events = {
        event[0] for event in python(AUDITED.format(act="Path('/etc/hostname').exists(); open('/dev/null').close()"))
    }

    assert "open" in events


def test_the_package_tells_that_it_has_types() -> None:
    assert (importlib.resources.files("ctadata_providers") / "py.typed").is_file()
