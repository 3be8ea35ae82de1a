"""What the storage behind the services does, on the services of FakeCta: never a wrong file, never a hang."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, CtaClient, CtaError, IntegrityError, TransientError
from ctadata_providers.cli import main
from ctadata_providers.testing import FakeCta
from tests.faults.cells import assert_absent, assert_whole

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


def test_two_hundred_downloads_at_once_are_all_right_and_nobody_is_starved(tmp_path: Path) -> None:
    contents = {f"/lst/many/{number}.fits": os.urandom(1000 + 37 * number) for number in range(200)}
    with FakeCta(services=True, bans=False) as cta:
        for path, content in contents.items():
            cta.put(path, content)
        with client_of(cta, timeout=20) as client:
            assert client.config.max_parallel == 4
            result = client.download_tree("/lst/many", tmp_path / "many")

    assert result.files == 200
    assert {f"/lst/many/{file.name}": file.read_bytes() for file in (tmp_path / "many").iterdir()} == contents


def test_a_token_without_the_scope_is_told_the_scope(cta: FakeCta) -> None:
    unscoped = client_of(cta, hub_token=cta.make_hub_token(scope=False))
    with unscoped as client, pytest.raises(CtaError, match="access:services!service=downloadservice"):
        client.stat(PATH)


def test_a_missing_certificate_is_told_with_the_remedy(cta: FakeCta, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(b"sent")
    cta.set_certificate("alice", "lst", "none")
    with client_of(cta) as client:
        with pytest.raises(CtaError, match="ctadata certificate upload"):
            client.stat(PATH)
        with pytest.raises(CtaError, match="ctadata certificate upload"):
            client.upload(tmp_path / "sent", f"{HOME}/new")


def test_what_is_stored_comes_back(cta: FakeCta, tmp_path: Path, payload: bytes, target: Path) -> None:
    (tmp_path / "sent").write_bytes(payload)
    with client_of(cta) as client:
        client.upload(tmp_path / "sent", f"{client.home()}/new/deep/f.fits")
        client.download(f"{HOME}/new/deep/f.fits", target)

    assert_whole(target, payload)


FAULTS: dict[str, dict[str, Any]] = {
    "server-error": {},
    "unavailable": {},
    "reset": {"after": 1000},
    "stall": {"after": 1000},
    "stall at once": {},
    "truncate": {"after": 1000},
    "longer-body": {"by": 10},
    "wrong-size": {},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_storage_leaves_no_wrong_file_and_no_hang(name: str, cta: FakeCta, target: Path) -> None:
    with client_of(cta, timeout=0.3, retries=0) as client:
        client.stat(PATH)
        kind: Any = name.partition(" ")[0]
        method = "PROPFIND" if kind == "wrong-size" else "GET"
        with cta.fault(kind, method=method, server="storage", **FAULTS[name]):
            assert_absent(lambda: client.download(PATH, target), (TransientError, IntegrityError), "", target)


def test_a_slow_storage_is_waited_for(cta: FakeCta, target: Path, payload: bytes) -> None:
    with client_of(cta, timeout=1.0, retries=0) as client, cta.fault("slow", server="storage", rate=400_000):
        client.download(PATH, target)

    assert_whole(target, payload)


def test_a_fault_that_passes_is_waited_out(cta: FakeCta, target: Path, payload: bytes) -> None:
    with client_of(cta, retries=3) as client, cta.fault("unavailable", server="storage", times=2):
        client.download(PATH, target)

    assert_whole(target, payload)


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
