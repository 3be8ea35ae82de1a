"""What a dCache does to its clients, faults of the fake data centre by name: survived, or one clear error."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import (
    Config,
    CredentialError,
    CtaClient,
    CtaError,
    IntegrityError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    TransientError,
)
from ctadata_providers.testing import FakeCta
from tests.faults.cells import assert_whole, parts_in

PATH = "/lst/events.fits"
NEW = "/lst/new.fits"


@pytest.fixture
def client(fake_cta: FakeCta, payload: bytes) -> Iterator[CtaClient]:
    fake_cta.put(PATH, payload)
    with CtaClient(Config.from_mapping({**fake_cta.settings(), "timeout": 0.5, "retries": 3})) as made:
        made.stat("/lst")
        fake_cta.clear_requests()
        yield made


# Fault, its options, and what of a download and of an upload comes once it has passed: the file, or an error.
ONCE: list[tuple[str, dict[str, Any], type[CtaError] | None, type[CtaError] | None]] = [
    ("server-error", {}, None, None),
    ("unavailable", {"retry_after": 0}, None, None),
    ("too-many-requests", {"retry_after": 0}, None, None),
    ("reset", {"server": "door"}, None, None),
    ("reset", {"server": "pool", "after": 1000}, None, None),
    ("stall", {"server": "pool", "after": 1000}, None, None),
    ("slow-redirect", {"seconds": 0.3}, None, None),
    ("expired-url", {}, None, None),
    ("pool-down", {}, None, None),
    ("pool-down", {"refused": True}, None, None),
    ("truncate", {"after": 1000}, None, IntegrityError),
    ("broken-listing", {}, None, None),
    ("late-visibility", {}, None, None),
    ("abandoned-upload", {}, None, None),
    ("corrupt-upload-stays", {}, None, IntegrityError),
    ("lost-answer", {"server": "pool"}, None, None),
    ("lost-answer", {"method": "MOVE"}, None, None),
    ("longer-body", {"server": "pool"}, IntegrityError, IntegrityError),
    ("wrong-digest", {"times": 9}, IntegrityError, IntegrityError),
    ("forbidden", {}, PermissionDeniedError, PermissionDeniedError),
    ("not-found", {}, NotFoundError, None),
    ("unauthorized", {"times": 9}, CredentialError, CredentialError),
    ("no-space", {}, None, StorageError),
    ("corrupt", {"server": "pool"}, IntegrityError, IntegrityError),
    ("wrong-size", {}, IntegrityError, IntegrityError),
    ("redirect-loop", {"times": 9}, StorageError, StorageError),
]


def ids(rows: list[tuple[Any, ...]]) -> list[str]:
    return [f"{name} {' '.join(f'{k}={v}' for k, v in options.items())}".strip() for name, options, *_ in rows]


@pytest.mark.parametrize(("fault", "options", "kind", "_"), ONCE, ids=ids(ONCE))
def test_a_download_over_a_fault_is_whole_or_one_error(
    fault: str,
    options: dict[str, Any],
    kind: type[CtaError] | None,
    _: object,
    client: CtaClient,
    fake_cta: FakeCta,
    target: Path,
    payload: bytes,
) -> None:
    fake_cta.faults.add(fault, **{"times": 1, **options})

    outcome = attempt(lambda: client.download(PATH, target))

    assert isinstance(outcome, kind or type(None)), outcome
    assert parts_in(target.parent) == []
    if kind is None:
        assert_whole(target, payload)
    else:
        assert target.read_bytes() == b"old"
    assert_no_ban_deserved(fake_cta)


@pytest.mark.parametrize(("fault", "options", "_", "kind"), ONCE, ids=ids(ONCE))
def test_an_upload_over_a_fault_is_whole_or_one_error(
    fault: str,
    options: dict[str, Any],
    _: object,
    kind: type[CtaError] | None,
    client: CtaClient,
    fake_cta: FakeCta,
    source: Path,
    payload: bytes,
) -> None:
    fake_cta.faults.add(fault, **{"times": 1, **options})

    outcome = attempt(lambda: client.upload(source, NEW))
    fake_cta.faults.clear()

    assert isinstance(outcome, kind or type(None)), outcome
    if kind is None:
        assert fake_cta.get(NEW) == payload
        assert fake_cta.paths() == [PATH, NEW]
    else:
        assert NEW not in fake_cta.paths()
    assert_no_ban_deserved(fake_cta)


def attempt(act: Callable[[], object]) -> CtaError | None:
    try:
        act()
    except CtaError as error:
        return error
    return None


def assert_no_ban_deserved(cta: FakeCta) -> None:
    """Check that no client was told 401 often enough to be blocked, and that no pool's URL was used twice."""
    used = [request.query for request in cta.requests if request.server == "pool" and request.status != 307]

    assert len([request for request in cta.requests if request.status == 401]) <= 1
    assert len(used) == len(set(used)) or "uuid" not in "".join(used)


def test_a_file_on_tape_is_told_before_a_get_that_blocks(
    client: CtaClient, fake_cta: FakeCta, target: Path, payload: bytes
) -> None:
    fake_cta.set_locality(PATH, "NEARLINE")

    error = attempt(lambda: client.download(PATH, target))

    assert isinstance(error, StorageError)
    assert not isinstance(error, TransientError)
    assert "NEARLINE" in str(error)
    assert {request.method for request in fake_cta.requests} == {"PROPFIND"}


@pytest.mark.parametrize("credential", ["token", "certificate"])
def test_a_refused_credential_is_shown_once(credential: str, fake_cta: FakeCta) -> None:
    settings = fake_cta.settings()
    if credential == "certificate":
        settings = {**settings, "token": "", "proxy_file": str(fake_cta.make_proxy())}
    given = {name: value for name, value in settings.items() if value != ""}
    fake_cta.faults.add("unauthorized")

    with CtaClient(**given) as one, CtaClient(**given) as another:
        for client in (one, another, one):
            with pytest.raises(CredentialError):
                client.stat("/lst")

    assert [request.status for request in fake_cta.requests] == [401]


def test_clients_of_one_process_together_stay_below_what_dcache_allows(fake_cta: FakeCta) -> None:
    def ask() -> None:
        with CtaClient(**fake_cta.settings()) as client:
            for _ in range(40):
                client.exists("/lst")

    with CtaClient(**fake_cta.settings()) as first:
        first.exists("/lst")
    begun = time.monotonic()
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begun

    assert len(fake_cta.requests) == 161
    assert 160 / seconds < 250
    assert {request.status for request in fake_cta.requests} == {404}


def test_a_small_file_of_a_tree_costs_a_put_a_look_and_a_rename_and_nothing_is_removed(
    client: CtaClient, fake_cta: FakeCta, tmp_path: Path
) -> None:
    """The short way is closed at a door that redirects: then there is nothing to remove either."""
    local = tmp_path / "tree"
    local.mkdir()
    for number in range(20):
        (local / f"{number}.txt").write_text(str(number))
    client.upload_tree(local, "/lst/tree")
    asked = Counter((r.server, r.method) for r in fake_cta.requests)

    assert [asked["door", method] for method in ("PUT", "MOVE", "DELETE")] == [20, 20, 0]
    assert asked["pool", "PUT"] == 20
    assert asked["door", "PROPFIND"] <= 20 + 2
