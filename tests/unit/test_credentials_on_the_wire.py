"""Which credential a door sees, and how often."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import Config, CredentialError, CtaClient
from ctadata_providers.testing import FakeCta


def jwt(claims: object) -> str:
    """Return an unsigned JWT with some claims."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({}, claims)]
    return ".".join([*parts, "c2lnbmF0dXJl"])


ACTS: dict[str, Callable[[CtaClient, Path], object]] = {
    "stat": lambda client, folder: client.stat("/lst/f"),
    "list_dir": lambda client, folder: list(client.list_dir("/lst")),
    "walk": lambda client, folder: list(client.walk("/lst")),
    "download": lambda client, folder: client.download("/lst/f", folder / "copy"),
    "upload": lambda client, folder: client.upload(folder / "sent", "/lst/f"),
    "upload new": lambda client, folder: client.upload(folder / "sent", "/lst/f", overwrite=False),
    "remove": lambda client, folder: client.remove("/lst/f"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local folder with a file to be sent."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "sent").write_bytes(b"x" * 2_000_000)
    return tmp_path


@pytest.mark.parametrize("act", ACTS)
def test_an_expired_token_is_not_sent(act: str, fake_cta: FakeCta, folder: Path) -> None:
    settings = {**fake_cta.settings(), "token": fake_cta.make_token(lifetime=-3600)}
    with CtaClient(Config.from_mapping(settings)) as client, pytest.raises(CredentialError, match="expired 36"):
        ACTS[act](client, folder)

    assert fake_cta.requests == []


def test_a_renewed_token_file_is_used_by_the_next_request(fake_cta: FakeCta, tmp_path: Path) -> None:
    fake_cta.put("/lst/f", b"1")
    path = tmp_path / "token"
    settings = {**fake_cta.settings(), "token": "", "token_file": path}
    announced: list[str] = []
    with CtaClient(Config.from_mapping({**settings, "on_token": announced.append})) as client:
        for subject in ("alice", "bob"):
            path.write_text(fake_cta.make_token(subject=subject * 2))
            client.stat("/lst/f")
            client.stat("/lst/f")
    sent = [request.headers["authorization"] for request in fake_cta.requests]

    assert len(sent) == 4
    assert sent[0] == sent[1] != sent[2] == sent[3]
    assert len(announced) == 2
    assert announced[1] == path.read_text()


def test_a_refused_token_is_not_sent_again_for_a_while(fake_cta: FakeCta) -> None:
    settings = {**fake_cta.settings(), "token": jwt({"iss": "https://elsewhere.example", "jti": "alone"})}
    with CtaClient(Config.from_mapping(settings)) as client:
        for _ in range(4):
            with pytest.raises(CredentialError):
                client.stat("/lst/f")

    assert [request.status for request in fake_cta.requests] == [401]


@pytest.mark.parametrize("act", ACTS)
def test_a_refused_token_is_sent_once_and_not_again_to_clean_up_or_to_explain(
    act: str, fake_cta: FakeCta, folder: Path
) -> None:
    fake_cta.put("/lst/f", b"1")
    settings = {**fake_cta.settings(), "token": jwt({"iss": "https://elsewhere.example", "jti": act})}
    with CtaClient(Config.from_mapping(settings)) as client, pytest.raises(CredentialError):
        ACTS[act](client, folder)

    assert [request.status for request in fake_cta.requests] == [401]


def test_a_missing_token_file_is_told_and_nothing_is_sent(fake_cta: FakeCta, tmp_path: Path) -> None:
    settings = {**fake_cta.settings(), "token": "", "token_file": tmp_path / "missing"}
    with CtaClient(Config.from_mapping(settings)) as client, pytest.raises(CredentialError, match="missing"):
        client.stat("/lst/f")

    assert fake_cta.requests == []


def test_pools_never_see_the_token(fake_cta: FakeCta, folder: Path) -> None:
    with CtaClient(Config.from_mapping(fake_cta.settings())) as client:
        client.upload(folder / "sent", "/lst/f")
        client.download("/lst/f", folder / "copy")
    at_pools = [request for request in fake_cta.requests if request.server == "pool"]

    assert {request.method for request in at_pools} == {"GET", "PUT"}
    assert not any("authorization" in request.headers for request in at_pools)
    assert all("authorization" in request.headers for request in fake_cta.requests if request.server == "door")


def test_a_command_is_run_once_for_many_requests_and_once_more_for_a_rejected_token(
    fake_cta: FakeCta, folder: Path
) -> None:
    fake_cta.put("/lst/f", b"1")
    log, stale, good = folder / "log", folder / "stale", folder / "good"
    stale.write_text(jwt({"iss": "https://elsewhere.example", "jti": "command"}))
    good.write_text(fake_cta.make_token())
    command = f"[ -e {log} ] && cat {good} || cat {stale}; echo >> {log}"
    settings = {**fake_cta.settings(), "token": "", "token_command": ("/bin/sh", "-c", command)}
    with CtaClient(Config.from_mapping(settings)) as client:
        for _ in range(5):
            client.stat("/lst/f")

    assert len(log.read_text()) == 2
    assert [request.status for request in fake_cta.requests] == [401, *[207] * 5]


def test_a_command_that_gives_the_rejected_token_again_is_told_and_not_sent_again(
    fake_cta: FakeCta, folder: Path
) -> None:
    command = ("echo", jwt({"iss": "https://elsewhere.example", "jti": "again"}))
    settings = {**fake_cta.settings(), "token": "", "token_command": command}
    with CtaClient(Config.from_mapping(settings)) as client:
        for _ in range(3):
            with pytest.raises(CredentialError):
                client.stat("/lst/f")

    assert [request.status for request in fake_cta.requests] == [401]
