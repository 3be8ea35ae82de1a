"""The names and arguments are those of ctadata 0.6.2 and 0.7.0."""

import inspect
import json
import subprocess
import sys
from types import ModuleType

import pytest

import ctadata_providers.compat as ctadata
from ctadata_providers.compat import direct
from ctadata_providers.errors import CtaError
from tests.unit.test_public_api import HEAVY, LOADED

SIGNATURES = {
    "list_dir": {"path": None, "recursive": False, "n_threads": 2},
    "fetch_and_save_file": {"path": None, "save_to_fn": None},
    "fetch_and_save_file_or_dir": {"path": None, "recursive": False},
    "upload_file": {"local_fn": None, "path": None},
    "upload_dir": {"local_dir": None, "path": None},
    "upload_personal_certificate": {"certificate_file_path": None, "certificate_key": None, "user": None},
    "upload_shared_certificate": {"certificate_file_path": None},
    "upload_certificate": {"path": None, "key": "cta"},
    "webdav4_client": {},
    "start_agent_daemon": {},
}
"""What is taken by position and by name, in that order, and the defaults."""
KEYWORDS = {"token", "downloadservice", "certificateservice", "chunk_size", "dev_instance"}
MODULES = pytest.mark.parametrize("module", [ctadata, direct], ids=["compat", "direct"])


@MODULES
@pytest.mark.parametrize("name", SIGNATURES)
def test_a_function_takes_what_that_of_ctadata_takes(module: ModuleType, name: str) -> None:
    parameters = inspect.signature(getattr(module, name)).parameters
    positional = {
        name: None if parameter.default is parameter.empty else parameter.default
        for name, parameter in parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }

    assert positional == SIGNATURES[name]
    assert list(positional) == list(SIGNATURES[name])
    assert [parameter.kind for parameter in parameters.values()][len(positional) :] == [inspect.Parameter.VAR_KEYWORD]
    assert name in module.__all__
    assert inspect.getdoc(getattr(module, name))


def test_the_keywords_are_those_of_ctadata() -> None:
    assert set(ctadata.Overrides.__annotations__) == KEYWORDS


@MODULES
def test_every_public_name_is_there(module: ModuleType) -> None:
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert isinstance(module.api.api_client, module.APIClient)
    assert module.direct is direct
    assert module.direct.direct.upload_file is not None


@MODULES
@pytest.mark.parametrize(
    "name",
    [
        "DirectApiError",
        "StorageException",
        "TokenError",
        "TokenExpiredError",
        "ClientSecretNotFound",
        "EnvironmentError",
    ],
)
def test_the_errors_of_ctadata_are_among_ours(module: ModuleType, name: str) -> None:
    kind = getattr(module.api, name)

    assert issubclass(kind, CtaError)
    assert issubclass(kind, module.api.DirectApiError)


def test_the_import_loads_no_heavy_library() -> None:
    act = "import ctadata_providers.compat, ctadata_providers.cli.legacy"
    done = subprocess.run([sys.executable, "-c", LOADED.format(act=act)], capture_output=True, text=True, check=True)

    assert not set(json.loads(done.stdout)) & (set(HEAVY) - {"zlib_ng"})
