"""Who collects errors with the variables of each function in their traces collects no secret."""

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import Config, CredentialError, CtaClient, CtaError
from ctadata_providers.credentials import resolve
from ctadata_providers.credentials.oidc import sessions
from tests.faults import acts
from tests.faults.cells import assert_nothing_secret, chain
from tests.faults.scripted import Act, Door, Exchange
from tests.faults.scripted_provider import answer_json, nothing_known, serve  # noqa: F401 (a fixture)

PATH = "/night/events.fits"
TOKEN = "an-opaque-token-0123456789"
REFRESH, ACCESS, CLIENT, DEVICE = ("a-refresh-token-0123", "an-access-token-4567", "s3cret-of-mine", "a-device-code-89")
Open = Callable[..., Door]


def shown(error: BaseException) -> str:
    """Return the variables of all functions that a trace of an error and its causes shows, those of tests aside."""
    traces = [traceback.TracebackException.from_exception(link, capture_locals=True) for link in chain(error)]
    frames = [frame for trace in traces for frame in trace.stack if "/tests/" not in frame.filename]
    return "\n".join(f"{f.name}: {name} = {value}" for f in frames for name, value in (f.locals or {}).items())


def error_of(act: Callable[[], object]) -> CtaError:
    with pytest.raises(CtaError) as caught:
        act()
    return caught.value


CLIENT_ACTS: dict[str, Callable[[CtaClient, Path], object]] = {
    "list": lambda client, _: list(client.list_dir("/night")),
    "stat": lambda client, _: client.stat(PATH),
    "download": lambda client, local: client.download(PATH, local),
    "upload": lambda client, local: client.upload(local, "/night/new"),
    "upload many": lambda client, local: [done.result() for _, done in client.upload_many([(local, "/night/new")])],
    "move": lambda client, _: client.move(PATH, "/night/other"),
    "remove": lambda client, _: client.remove(PATH),
}
DOOR_FAULTS: dict[str, Act] = {
    "closed": acts.reset_after(None),
    "garbage": acts.raw(b"garbage\r\n\r\n"),
    "401": acts.status(401),
    "403": acts.status(403),
    "500": acts.status(500),
    "redirect": acts.redirect(f"ftp://nowhere/?authz={TOKEN}"),
}


@pytest.mark.parametrize("fault", DOOR_FAULTS)
@pytest.mark.parametrize("act", CLIENT_ACTS)
def test_what_fails_at_a_door_keeps_no_token_in_its_trace(
    act: str, fault: str, open_door: Open, client_of: Callable[..., CtaClient], target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    for method in ("PROPFIND", "GET", "HEAD", "PUT", "MOVE", "DELETE", "OPTIONS"):
        door.fault(method, DOOR_FAULTS[fault])

    error = error_of(lambda: CLIENT_ACTS[act](client_of(door, token=TOKEN, retries=0, timeout=2.0), target))

    assert_nothing_secret(shown(error), TOKEN)


def form_of(exchange: Exchange) -> str:
    return b"".join(exchange.chunks()).decode()


OIDC_FAULTS: dict[str, Callable[[Exchange], None]] = {
    "refused": lambda e: _json(e, 400, {"error": "invalid_request", "error_description": f"bad {form_of(e)}"}),
    "ended": lambda e: _json(e, 400, {"error": "invalid_grant", "error_description": f"bad {form_of(e)}"}),
    "no JSON": lambda e: e.answer(400, body=f"<html>{form_of(e)}".encode()),
    "500": lambda e: e.answer(500, body=form_of(e).encode()),
    "redirect": lambda e: e.answer(302, f"Location: http://127.0.0.2/?{form_of(e)}"),
    "no token": lambda e: _json(e, 200, {"access_token": f"{ACCESS} x", "refresh_token": REFRESH}),
    "closed": acts.reset_after(None),
}


def _json(exchange: Exchange, status: int, content: dict[str, object]) -> None:
    exchange.answer(status, "Content-Type: application/json", body=json.dumps(content).encode())


def serve_logins(door: Door) -> Config:
    """Let a provider answer a login rightly; return the settings of a client of it."""
    config = serve(
        door,
        device_authorization_endpoint=f"{door.url}/device",
        revocation_endpoint=f"{door.url}/revoke",
        token_endpoint_auth_methods_supported=["client_secret_post"],
    ).with_settings(door_url="https://localhost:9")
    begun = {
        "device_code": DEVICE,
        "user_code": "ABCD",
        "verification_uri": f"{door.url}/v",
        "expires_in": 1,
        "interval": 0,
    }
    door.fault("POST", lambda exchange: _json(exchange, 200, begun), path="/device")
    return config


OIDC_ACTS: dict[str, Callable[[Config], object]] = {
    "login": lambda config: sessions.log_in(config, CLIENT, lambda grant: None),
    "refresh": sessions.refresh,
    "logout": sessions.log_out,
    "robot": lambda config: resolve(
        config.with_settings(grant_type="client_credentials", client_secret=CLIENT)
    ).token(),
}


@pytest.mark.parametrize(
    ("act", "fault"),
    [(act, fault) for act in OIDC_ACTS for fault in OIDC_FAULTS if (act, fault) != ("logout", "no token")],
)
def test_what_fails_at_an_issuer_keeps_no_secret_in_its_trace(act: str, fault: str, open_door: Open) -> None:
    issuer = open_door(tls=False)
    config = serve_logins(issuer)
    told: dict[str, object] = {"access_token": ACCESS, "refresh_token": REFRESH, "expires_in": 300}
    issuer.fault("POST", lambda exchange: _json(exchange, 200, told), path="/realms/x/token", times=1)
    if act in ("refresh", "logout"):
        sessions.log_in(config, None, lambda grant: None)
    else:
        issuer.mend()
        config = serve_logins(issuer)
    for path in ("/realms/x/token", "/revoke"):
        issuer.fault("POST", OIDC_FAULTS[fault], path=path)

    error = error_of(lambda: OIDC_ACTS[act](config))

    assert_nothing_secret(shown(error), REFRESH, ACCESS, CLIENT, DEVICE)


def test_a_login_that_cannot_be_kept_keeps_no_secret_in_its_trace(
    open_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = open_door(tls=False)
    config = serve_logins(issuer)
    answer_json(issuer, "POST", {"access_token": ACCESS, "refresh_token": REFRESH, "expires_in": 300})
    sessions.log_in(config, None, lambda grant: None)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    for act in (sessions.refresh, OIDC_ACTS["login"]):
        error = error_of(lambda act=act: act(config))  # type: ignore[misc]  # of a default of its own

        assert "No space" in str(error)
        assert_nothing_secret(shown(error), REFRESH, ACCESS, CLIENT, DEVICE)


@pytest.mark.parametrize("kind", ["token_file", "client_secret_file", "token_command", "failing", "missing"])
def test_a_malformed_credential_is_not_kept_in_the_trace(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{TOKEN} and more")
    file.chmod(0o600)
    code = {"token_command": f"print('{TOKEN} and more')", "failing": "raise SystemExit(1)"}
    settings: dict[str, object] = {
        "token_file": {"token_file": file},
        "client_secret_file": {
            "client_secret_file": file,
            "grant_type": "client_credentials",
            "issuer": "https://localhost:9",
            "client_id": "me",
        },
        "missing": {"token_command": ["/no/such/program", "--secret", TOKEN]},
    }.get(kind, {"token_command": [sys.executable, "-c", code.get(kind, ""), "--secret", TOKEN]})  # type: ignore[arg-type]  # of strings and paths

    with pytest.raises(CredentialError) as caught:
        resolve(Config.from_mapping({"door_url": "https://localhost:9", **settings})).token()

    assert_nothing_secret(shown(caught.value), TOKEN)
