"""What the storage behind the services does, on the services of FakeCta: never a wrong file, never a hang."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
    QuotaError,
    TransientError,
)
from ctadata_providers.cli import main
from ctadata_providers.testing import FakeCta
from tests.faults.cells import assert_absent, assert_whole
from tests.unit.fake_cta.services.clients import struck

HOME = "/lst/users/alice"
PATH = f"{HOME}/events.fits"


@pytest.fixture(params=["webdav", "dcache"])
def cta(request: pytest.FixtureRequest, payload: bytes) -> Iterator[FakeCta]:
    with FakeCta(services=True, bans=False, service_storage=request.param) as started:
        started.put(PATH, payload)
        yield started


def client_of(cta: FakeCta, **settings: object) -> CtaClient:
    how = {"retries": 1, "timeout": 1.0, **cta.service_settings(), **settings}
    return CtaClient(Config.from_mapping({name: str(value) for name, value in how.items()}))


def test_two_hundred_downloads_are_all_right_and_take_four_of_the_ten_threads(tmp_path: Path) -> None:
    contents = {f"/lst/many/{number}.fits": os.urandom(1000 + 37 * number) for number in range(200)}
    with FakeCta(services=True, bans=False) as cta, client_of(cta, timeout=20) as client, client_of(cta) as other:
        for path, content in contents.items():
            cta.put(path, content)
        cta.put(PATH, b"of another user")
        with ThreadPoolExecutor(1) as pool:
            # Whatever is asked of the storage for them holds a thread until this ends.
            with cta.fault("stall", method="GET", path="/lst/many/*", server="storage") as silent:
                downloads = pool.submit(client.download_tree, "/lst/many", tmp_path / "many")
                struck(silent, 4)
                answers = {other.read(PATH) for _ in range(20)}
                taken = silent.hits
            result = downloads.result(60)

    assert client.config.max_parallel == 4
    assert (taken, answers) == (4, {b"of another user"})
    assert (result.files, result.retries) == (200, 0)
    assert {f"/lst/many/{file.name}": file.read_bytes() for file in (tmp_path / "many").iterdir()} == contents


def test_a_token_without_the_scope_is_told_the_scope(cta: FakeCta) -> None:
    unscoped = client_of(cta, hub_token=cta.make_hub_token(scope=False))
    with unscoped as client, pytest.raises(CredentialError, match="access:services!service=downloadservice"):
        client.stat(PATH)


def test_a_missing_certificate_is_told_with_the_remedy(cta: FakeCta, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(b"sent")
    cta.set_certificate("alice", "lst", "none")
    with client_of(cta) as client:
        with pytest.raises(CredentialError, match="ctadata certificate upload"):
            client.stat(PATH)
        with pytest.raises(CredentialError, match="ctadata certificate upload"):
            client.upload(tmp_path / "sent", f"{HOME}/new")


def test_what_is_stored_comes_back(cta: FakeCta, tmp_path: Path, payload: bytes, target: Path) -> None:
    (tmp_path / "sent").write_bytes(payload)
    with client_of(cta) as client:
        client.upload(tmp_path / "sent", f"{client.home()}/new/deep/f.fits")
        client.download(f"{HOME}/new/deep/f.fits", target)

    assert_whole(target, payload)


READS: dict[str, tuple[dict[str, Any], type[CtaError]]] = {
    "server-error": ({}, TransientError),
    "unavailable": ({}, TransientError),
    "forbidden": ({}, PermissionDeniedError),
    "not-found": ({}, NotFoundError),
    "reset": ({}, TransientError),
    "reset half-way": ({"after": 1000}, TransientError),
    "stall": ({}, TransientError),
    "stall half-way": ({"after": 1000}, TransientError),
    "truncate": ({"after": 1000}, TransientError),
    "truncate early and unannounced": ({"after": 1000, "announced": False}, TransientError),
    "truncate late and unannounced": ({"after": 200_000, "announced": False}, IntegrityError),
    "longer-body": ({"by": 10}, IntegrityError),
    "corrupt": ({"after": 1000}, IntegrityError),
    "wrong-size": ({"by": -10}, IntegrityError),
}
"""What goes wrong at the storage, what it takes, and what it means; half-way is after some bytes."""


@pytest.mark.parametrize("name", READS)
def test_a_fault_of_the_storage_is_the_right_error_and_leaves_no_wrong_file(
    name: str, cta: FakeCta, target: Path
) -> None:
    options, error = READS[name]
    kind: Any = name.partition(" ")[0]
    method = "PROPFIND" if kind == "wrong-size" else "GET"
    with client_of(cta, timeout=0.3, retries=0) as client:
        client.stat("/lst")
        with cta.fault(kind, method=method, server="storage", **options):
            assert_absent(lambda: client.download(PATH, target), error, "", target)


WRITES: dict[str, tuple[dict[str, Any], type[CtaError], str]] = {
    "server-error": ({}, TransientError, "old"),
    "unavailable": ({}, TransientError, "old"),
    "forbidden": ({}, PermissionDeniedError, "old"),
    "no-space": ({}, QuotaError, "old"),
    "reset": ({}, TransientError, "old"),
    "reset half-way": ({"after": 1000}, TransientError, "gone"),
    "stall": ({}, TransientError, "old"),
    "stall half-way": ({"after": 1000}, IntegrityError, "wrong"),
    "truncate": ({"after": 1000}, IntegrityError, "wrong"),
    "longer-body": ({"by": 10}, IntegrityError, "wrong"),
    "corrupt": ({"after": 1000}, IntegrityError, "wrong"),
    "redirect": ({}, IntegrityError, "wrong"),
}
"""The same of uploads, and what is there then: the old file, nothing, or what the error warns of."""


@pytest.mark.parametrize("name", WRITES)
def test_a_fault_of_the_storage_in_an_upload_is_the_right_error_and_tells_what_may_remain(
    name: str, fake_cta_services: FakeCta, source: Path, payload: bytes
) -> None:
    options, error, left = WRITES[name]
    kind: Any = name.partition(" ")[0]
    cta = fake_cta_services
    cta.put(PATH, b"old")
    with (
        client_of(cta, timeout=0.3, retries=0) as client,
        cta.fault(kind, method="PUT", server="storage", **options),
        pytest.raises(error) as caught,
    ):
        client.upload(source, PATH)
    stored = cta.get(PATH) if cta.exists(PATH) else None

    assert type(caught.value) is error
    assert ("a partial file may remain" in str(caught.value)) == (left == "wrong")
    assert (stored == b"old", stored is None) == (left == "old", left == "gone")
    assert stored != payload


def test_an_upload_that_the_storage_forbids_in_ones_own_folder_is_not_sent_there(
    fake_cta_services: FakeCta, source: Path
) -> None:
    with (
        client_of(fake_cta_services) as client,
        fake_cta_services.fault("forbidden", method="PUT", server="storage"),
        pytest.raises(PermissionDeniedError) as caught,
    ):
        client.upload(source, PATH)

    assert "the service takes uploads below" not in str(caught.value)


def test_a_slow_storage_is_waited_for(cta: FakeCta, target: Path, payload: bytes) -> None:
    with client_of(cta, timeout=1.0, retries=0) as client, cta.fault("slow", server="storage", rate=400_000):
        client.download(PATH, target)

    assert_whole(target, payload)


def test_a_storage_that_is_too_slow_for_a_large_range_is_asked_for_smaller_ones(
    fake_cta_services: FakeCta, target: Path
) -> None:
    cta, content = fake_cta_services, os.urandom(8 << 20)
    cta.put(PATH, content)
    with client_of(cta, timeout=0.2) as client, cta.fault("slow", method="GET", server="storage", rate=4 << 20):
        result = client.download(PATH, target)
    ranges = {request.headers["range"] for request in cta.requests if request.method == "GET"}

    assert_whole(target, content)
    assert result.retries == 1
    assert f"bytes=0-{(2 << 20) - 1}" in ranges


def test_a_fault_that_passes_is_waited_out(cta: FakeCta, target: Path, payload: bytes) -> None:
    with client_of(cta, retries=3) as client, cta.fault("unavailable", server="storage", times=2):
        client.download(PATH, target)

    assert_whole(target, payload)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["webdav", "dcache"])
def test_two_gibibytes_go_there_and_back(kind: Any, tmp_path: Path) -> None:
    size = 2 << 30
    with (tmp_path / "sent").open("wb") as file:
        file.truncate(size)
        file.write(b"begin")
    with FakeCta(services=True, bans=False, service_storage=kind) as cta, client_of(cta, timeout=60) as client:
        sent = client.upload(tmp_path / "sent", PATH)
        back = client.download(PATH, tmp_path / "back")

    assert (sent.size, back.size) == (size, size)
    assert sent.checksums == back.checksums


@pytest.fixture
def environ(cta: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a user who has set CTADS_URL and has a hub token."""
    for name, value in cta.service_environ().items():
        monkeypatch.setenv(name, value)


def test_the_commands_work_by_the_environment_alone(
    cta: FakeCta, environ: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sent").write_bytes(b"sent")

    assert main(["put", str(tmp_path / "sent"), f"{HOME}/new/f"]) == 0
    assert main(["list", f"{HOME}/new"]) == 0
    assert main(["get", f"{HOME}/new/f", str(tmp_path / "received")]) == 0
    assert main(["whoami"]) == 0
    assert (tmp_path / "received").read_bytes() == b"sent"
    assert capsys.readouterr().out.splitlines()[-1] == HOME
    assert main(["rm", f"{HOME}/new/f"]) != 0
    assert "--backend webdav" in capsys.readouterr().err


def test_the_doctor_tells_whose_token_it_is_and_its_scopes(
    cta: FakeCta, environ: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "token of alice" in said
    assert "access:services!service=downloadservice" in said
    assert HOME in said
    assert cta.hub_token not in said


@pytest.mark.parametrize("scope", [True, False])
def test_the_doctor_tells_what_is_wrong(
    scope: bool, cta: FakeCta, environ: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = cta.make_hub_token(scope=scope)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", token)
    if scope:
        cta.revoke_hub_token(token)

    assert main(["doctor"]) == 1
    assert f"{cta.hub_url}token" in capsys.readouterr().out


def test_a_check_of_the_client_looks_at_the_hub_token(cta: FakeCta) -> None:
    with client_of(cta) as client:
        steps = {step.name: step for step in client.check("/lst")}

    assert (steps["credential"].state, steps["scopes"].state, steps["listing"].state) == ("good", "good", "good")
    assert "alice" in steps["credential"].told
