import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, ConfigError, CredentialError, TransientError
from ctadata_providers.credentials import Token
from ctadata_providers.credentials.oidc import renewal, sessions
from ctadata_providers.credentials.oidc.device import DeviceGrant
from ctadata_providers.credentials.oidc.provider import TokenAnswer
from ctadata_providers.credentials.oidc.renewal import StoredSource
from ctadata_providers.credentials.oidc.store import Store, StoredSession
from ctadata_providers.testing import FakeCta
from tests.unit.credentials.logins import small_bundle  # noqa: F401 (a fixture)
from tests.unit.credentials.machine import jwt_of


@pytest.fixture(scope="module")
def centre() -> Iterator[FakeCta]:
    with FakeCta() as cta:
        yield cta


@pytest.fixture
def cta(centre: FakeCta, home: Path) -> FakeCta:
    """A data centre whose issuer lets us ask as often as we like, and a machine without logins."""
    centre.reset()
    centre.issuer.configure(interval=0)
    return centre


def config_of(cta: FakeCta, client: Any = "public", **settings: Any) -> Config:
    return Config(**{**cta.oidc_settings(client), **settings})


def log_in(cta: FakeCta, config: Config, secret: str | None = None, subject: str = "alice") -> Token:
    cta.issuer.approve_next(subject)
    return sessions.log_in(config, secret, lambda grant: None, sleep=lambda seconds: None)


def store_of(config: Config) -> Store:
    return Store(sessions.account_of(config))


# Logging in and out


def test_who_has_logged_in_has_a_token_that_the_door_takes(cta: FakeCta) -> None:
    shown: list[DeviceGrant] = []
    config = config_of(cta)
    before = sessions.open_session(config)
    cta.issuer.approve_next("bob")
    token = sessions.log_in(config, None, shown.append, sleep=lambda seconds: None)
    session = sessions.open_session(config)

    assert before is None
    assert token.username == "bob"
    assert shown[0].verification_uri == cta.issuer.verification_uri
    assert session is not None
    assert session().value == token.value
    assert cta.issuer.requests[1].form["scope"] == "openid offline_access"


def test_the_scope_and_audience_of_the_settings_are_asked_for(cta: FakeCta) -> None:
    token = log_in(
        cta, config_of(cta, scope="openid storage.read:/lst offline_access", audience="https://door.example")
    )

    assert token.audience == ("https://door.example",)
    assert token.scopes is not None
    assert "storage.read:/lst" in token.scopes


def test_a_session_is_for_its_issuer_client_and_door_only(cta: FakeCta) -> None:
    config = config_of(cta)
    log_in(cta, config)

    assert sessions.open_session(config.with_settings(door_url="https://door.example")) is None
    assert sessions.open_session(config.with_settings(client_id="another")) is None
    assert sessions.open_session(config.with_settings(issuer="https://id.example")) is None
    assert sessions.open_session(config.with_settings(profile="another")) is not None
    assert sessions.open_session(Config()) is None


def test_a_session_that_was_moved_to_another_account_is_refused(cta: FakeCta) -> None:
    config = config_of(cta)
    log_in(cta, config)
    other = config.with_settings(door_url="https://door.example")
    store_of(config).path.rename(store_of(other).path)
    session = sessions.open_session(other)

    assert session is not None
    with pytest.raises(CredentialError, match="is a session of another issuer, client or door; remove it and log in"):
        session()


def test_logging_out_ends_the_session_here_and_at_the_issuer(cta: FakeCta) -> None:
    config = config_of(cta)
    log_in(cta, config)
    kept = store_of(config).read()
    ended = sessions.log_out(config), sessions.log_out(config)
    assert kept is not None
    store_of(config).save(kept)

    assert ended == (True, False)
    with pytest.raises(CredentialError, match="invalid_grant"):
        sessions.refresh(config)


def test_logging_out_while_the_issuer_is_away_forgets_the_session_and_says_what_is_left(cta: FakeCta) -> None:
    config = config_of(cta)
    log_in(cta, config)
    with (
        cta.issuer.fault("server-error", path="/**/revoke"),
        pytest.raises(TransientError, match=r"forgotten here, but .*; end it on your account page"),
    ):
        sessions.log_out(config)

    assert sessions.open_session(config) is None


@pytest.mark.parametrize("secret", [{"client_secret": "wrong"}, {"client_secret_file": "/no/secret_client"}])
def test_an_issuer_that_does_not_end_the_session_is_told(cta: FakeCta, secret: dict[str, Any]) -> None:
    config = config_of(cta, "confidential")
    log_in(cta, config)
    with pytest.raises(CredentialError, match=r"forgotten here, but .*_client"):
        sessions.log_out(config.with_settings(**secret))

    assert sessions.open_session(config) is None


def test_a_session_that_cannot_be_read_can_be_forgotten(cta: FakeCta) -> None:
    config = config_of(cta)
    log_in(cta, config)
    store_of(config).path.write_text("torn")

    assert sessions.log_out(config) is True
    assert sessions.open_session(config) is None


def test_a_session_that_is_gone_says_how_to_get_one(cta: FakeCta) -> None:
    config = config_of(cta)
    log_in(cta, config)
    session = sessions.open_session(config)
    sessions.log_out(config)

    assert session is not None
    with pytest.raises(CredentialError, match="nobody is logged in: there is no") as told:
        StoredSource(config).stored()
    assert told.value.remedy == (
        f"log in: ctadata login --issuer {config.issuer} --client-id {config.client_id} --door-url {config.door_url}"
    )


@pytest.mark.parametrize(("profile", "command"), [("prod", "ctadata login"), ("dev", "ctadata login --profile dev")])
def test_the_remedy_of_a_built_in_profile_is_short(home: Path, profile: str, command: str) -> None:
    with pytest.raises(CredentialError) as told:
        sessions.refresh(Config.from_mapping({"profile": profile}))

    assert told.value.remedy == f"log in: {command}"


def test_a_login_that_could_not_be_kept_is_not_begun(cta: FakeCta) -> None:
    folder = store_of(Config()).folder
    folder.parent.mkdir(parents=True)
    folder.touch()
    with pytest.raises(CredentialError, match="cannot keep the session"):
        log_in(cta, config_of(cta))

    assert cta.issuer.requests == []


def test_a_second_login_takes_the_place_of_the_first(cta: FakeCta) -> None:
    config = config_of(cta)
    first, second = log_in(cta, config), log_in(cta, config, subject="bob")
    session = sessions.open_session(config)
    assert session is not None

    assert session.renew(first).value == second.value


@pytest.mark.parametrize("act", [sessions.log_out, sessions.refresh, sessions.status, sessions.robot])
def test_without_an_issuer_there_is_nobody_to_ask(act: Any, home: Path) -> None:
    with pytest.raises(ConfigError, match="setting issuer is missing"):
        act(Config())


# Client secrets


def test_a_secret_that_was_typed_in_is_kept_for_the_other_processes(cta: FakeCta) -> None:
    config = config_of(cta, "confidential", client_secret=None)
    secret = cta.issuer.client("confidential").secret
    log_in(cta, config, secret)
    stored = store_of(config).read()

    assert sessions.refresh(config).username == "alice"
    assert stored is not None
    assert stored.client_secret == secret
    assert sessions.log_out(config)


def test_the_secret_of_the_settings_counts_more_than_the_kept_one(cta: FakeCta) -> None:
    config = config_of(cta, "confidential")
    log_in(cta, config)
    stored = store_of(config).read()
    assert stored is not None
    store_of(config).save(replace(stored, client_secret="an-old-one"))

    assert sessions.refresh(config).username == "alice"


def test_a_wrong_secret_is_no_end_of_the_session(cta: FakeCta) -> None:
    config = config_of(cta, "confidential")
    log_in(cta, config)
    wrong = config.with_settings(client_secret="wrong")
    with pytest.raises(CredentialError, match="check client_id"):
        sessions.refresh(wrong)
    status = sessions.status(config)

    assert status is not None
    assert status.refreshable
    assert "unauthorized_client" in (status.failure or "")
    assert sessions.refresh(config).username == "alice"


# Renewing


def test_all_clients_of_a_process_share_one_session(cta: FakeCta) -> None:
    config = config_of(cta)
    log_in(cta, config)

    assert sessions.open_session(config) is sessions.open_session(config_of(cta))
    assert sessions.open_session(config) is not sessions.open_session(config.with_settings(refresh="never"))


def test_sixteen_threads_whose_token_is_rejected_ask_once(cta: FakeCta) -> None:
    config = config_of(cta)
    rejected = log_in(cta, config)
    cta.issuer.clear_requests()
    session = sessions.open_session(config)
    assert session is not None
    new: list[str] = []
    threads = [threading.Thread(target=lambda: new.append(session.renew(rejected).value)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(new) == 16
    assert len(set(new)) == 1
    assert len(cta.issuer.grants("refresh_token")) == 1
    assert cta.issuer.revoked_families == []


def test_a_forced_refresh_gives_a_new_token_also_while_the_provider_is_left_alone(cta: FakeCta) -> None:
    config = config_of(cta)
    first = log_in(cta, config)
    session = sessions.open_session(config)
    assert session is not None
    with cta.issuer.fault("server-error", path="/**/token"), pytest.raises(TransientError):
        session.renew(first)
    with pytest.raises(TransientError, match="it is asked again in"):
        session.renew(first)

    assert sessions.refresh(config).value != first.value
    assert session.renew(first).value != first.value


def test_opaque_tokens_are_renewed_by_the_life_that_was_told_with_them(cta: FakeCta) -> None:
    cta.issuer.configure(opaque=True, token_lifetime=120.0)
    config = config_of(cta)
    token = log_in(cta, config)
    status = sessions.status(config)

    assert "." not in token.value
    assert status is not None
    assert token.expires_at == status.expires_at
    assert token.scopes is not None
    assert "offline_access" in token.scopes


def test_a_login_without_a_refresh_token_is_good_to_the_end_of_its_token(cta: FakeCta) -> None:
    config = config_of(cta)
    token = log_in(cta, config)
    stored = store_of(config).read()
    assert stored is not None
    store_of(config).save(replace(stored, refresh_token=None))
    session = sessions.open_session(config)
    status = sessions.status(config)

    assert session is not None
    assert session().value == token.value
    assert status is not None
    assert not status.refreshable
    with pytest.raises(CredentialError, match="gave no refresh token; log in again"):
        session.renew(token)


# Workers that only read


def test_a_worker_that_only_reads_finds_what_the_driver_has_renewed(cta: FakeCta) -> None:
    config = config_of(cta)
    rejected = log_in(cta, config)
    worker = sessions.open_session(config.with_settings(refresh="never"))
    assert worker is not None
    found: list[Token] = []
    waiting = threading.Thread(target=lambda: found.append(worker.renew(rejected)))
    waiting.start()
    new = sessions.refresh(config)
    waiting.join()

    assert [token.value for token in found] == [new.value]
    assert len(cta.issuer.grants("refresh_token")) == 1


def test_a_worker_that_only_reads_never_asks_the_issuer(cta: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(cta)
    rejected = log_in(cta, config)
    cta.issuer.clear_requests()
    monkeypatch.setattr(renewal, "READER_PATIENCE", 0.2)
    worker = sessions.open_session(config.with_settings(refresh="never"))
    assert worker is not None
    with pytest.raises(CredentialError, match=r"nobody renews the session.*refresh = never; let the driver run"):
        worker.renew(rejected)

    assert cta.issuer.requests == []


def test_who_only_reads_refuses_to_refresh(cta: FakeCta) -> None:
    config = config_of(cta)
    log_in(cta, config)
    cta.issuer.clear_requests()
    with pytest.raises(ConfigError, match=r"refresh is 'never'.*leave refresh out"):
        sessions.refresh(config.with_settings(refresh="never"))

    assert cta.issuer.requests == []


def test_a_worker_that_only_reads_uses_a_living_token_to_its_end_without_waiting(
    cta: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(cta)
    token = log_in(cta, config)
    store = store_of(config)
    stored = store.read()
    assert stored is not None
    now = time.time()
    store.save(replace(stored, obtained_at=now - 1000, expires_at=now + 30))

    def no_waiting(*_: object) -> None:
        raise AssertionError("waited for somebody who renews")

    monkeypatch.setattr(renewal.StoredSource, "_awaited", no_waiting)
    worker = sessions.open_session(config.with_settings(refresh="never"))
    assert worker is not None

    assert [worker().value for _ in range(3)] == [token.value] * 3


# What is told


def test_the_status_tells_all_but_the_secrets(cta: FakeCta) -> None:
    config = config_of(cta)
    before = sessions.status(config)
    token = log_in(cta, config)
    status = sessions.status(config)
    stored = store_of(config).read()

    assert before is None
    assert status is not None
    assert stored is not None
    assert (status.issuer, status.client_id, status.door_url) == (config.issuer, config.client_id, config.door_url)
    assert (status.refreshable, status.failure, status.file) == (True, None, str(store_of(config).path))
    assert status.token.value == token.value
    assert not [secret for secret in (stored.access_token, stored.refresh_token) if str(secret) in repr(status)]


def test_the_status_of_a_session_that_has_ended_tells_why(cta: FakeCta) -> None:
    config = config_of(cta)
    log_in(cta, config)
    cta.issuer.end_sessions()
    with pytest.raises(CredentialError):
        sessions.refresh(config)
    status = sessions.status(config)

    assert status is not None
    assert not status.refreshable
    assert "invalid_grant" in (status.failure or "")


# Robots


def test_a_robot_has_a_token_in_memory_that_all_clients_share(cta: FakeCta, home: Path) -> None:
    robot = sessions.robot(config_of(cta, "robot"))
    first = robot()

    assert sessions.robot(config_of(cta, "robot")) is robot
    assert robot() is first
    assert robot.renew(first).value != first.value
    assert len(cta.issuer.grants("client_credentials")) == 2
    assert not list(home.rglob("*.json"))


@pytest.mark.parametrize(
    ("born", "told", "left"),
    [
        (0, 300, 300),
        (-100, 200, 200),  # a token that the issuer has given before
        (0, 3600, 300),  # an issuer that says too much
        (0, None, 300),
        (-100, None, 200),
        (-3600, 300, 300),  # our clock is an hour ahead
        (-3600, None, 300),
    ],
)
def test_the_life_of_a_token_is_what_the_issuer_and_the_token_both_say(
    born: float, told: float | None, left: float, tmp_path: Path
) -> None:
    now = 1_700_000_000.0
    token = jwt_of({"iat": now + born, "exp": now + born + 300})
    answer = TokenAnswer(access_token=token, refresh_token="r", obtained_at=now, expires_in=told, scope=None)
    blank = StoredSession(
        issuer="https://id.example", client_id="me", door_url="https://d", access_token="", obtained_at=0
    )
    held = renewal.held_of(renewal.with_answer(blank, answer), Store("x", tmp_path))

    assert (held.left(now), held.token.life_left(now)) == (left, left)
