import copy
import pickle
from pathlib import Path

import pytest

from ctadata_providers import errors
from ctadata_providers.errors import CtaError, StorageError, TransientError

STANDARD = {
    "ConfigError": ValueError,
    "StorageError": OSError,
    "NotFoundError": FileNotFoundError,
    "AlreadyExistsError": FileExistsError,
    "IsADirError": IsADirectoryError,
    "NotADirError": NotADirectoryError,
    "PermissionDeniedError": PermissionError,
}
ALL = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CtaError)),
    key=lambda kind: kind.__name__,
)


def test_the_errors_are_those_of_the_design() -> None:
    assert {kind.__name__ for kind in ALL} == {
        "AlreadyExistsError",
        "ConfigError",
        "CredentialError",
        "CtaError",
        "IntegrityError",
        "IsADirError",
        "NotADirError",
        "NotFoundError",
        "PermissionDeniedError",
        "QuotaError",
        "StorageError",
        "TransientError",
        "UnsupportedError",
    }


@pytest.mark.parametrize(("name", "standard"), STANDARD.items())
def test_an_error_is_also_the_standard_one(name: str, standard: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), standard)


@pytest.mark.parametrize(
    "name", ["UnsupportedError", "IntegrityError", "QuotaError", "TransientError", "NotFoundError"]
)
def test_faults_of_the_storage_are_storage_errors(name: str) -> None:
    assert issubclass(getattr(errors, name), StorageError)


def test_only_storage_errors_are_os_errors() -> None:
    assert not issubclass(errors.ConfigError, OSError)
    assert not issubclass(errors.CredentialError, OSError)


@pytest.mark.parametrize("kind", ALL)
def test_an_error_says_what_where_and_what_to_do(kind: type[CtaError]) -> None:
    error = kind("cannot do it", path=Path("/lst/a"), remedy="do that")

    assert str(error) == "cannot do it; do that"
    assert (error.message, error.path, error.remedy) == ("cannot do it", "/lst/a", "do that")
    assert str(kind("only this")) == "only this"


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_an_error_survives_the_way_to_another_process(kind: type[CtaError], again: object) -> None:
    assert callable(again)
    error = kind("cannot do it", path="/lst/a", remedy="do that")
    if isinstance(error, StorageError):
        error.status = 404
    if isinstance(error, TransientError):
        error.retry_after = 7.5
    other = again(error)

    assert type(other) is kind
    assert str(other) == str(error)
    assert vars(other) == vars(error)


def test_status_and_retry_after_are_kept() -> None:
    error = TransientError("busy", status=503, retry_after=4.0)

    assert (error.status, error.retry_after) == (503, 4.0)
    assert StorageError("x").status is None
