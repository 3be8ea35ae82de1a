"""Which credential the plugin takes: as settings name it, from a login, refreshed or not."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import pytest
from snakemake_storage_plugin_cta import StorageProvider, StorageProviderSettings

from ctadata_providers import Config, CredentialError
from ctadata_providers.credentials.oidc import sessions
from ctadata_providers.testing import FakeCta

NewProvider = Callable[..., StorageProvider]
REFERENCES = {
    "token_file": "/run/token",
    "token_command": "print-token --for 'the door'",
    "oidc_account": "alice",
    "issuer": "https://id.example.org/realms/cta",
    "client_id": "me",
    "client_secret_file": "/run/secret",
    "grant_type": "client_credentials",
    "scope": "openid storage.read:/",
    "audience": "https://door.example.org",
    "refresh": "never",
    "proxy_file": "/run/proxy",
    "cert_file": "/run/cert",
    "key_file": "/run/key",
    "service_url": "https://example.org/services/downloadservice/",
    "hub_url": "https://example.org/hub/",
}


@pytest.fixture
def logged_in(
    fake_cta: FakeCta, cta_environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FakeCta:
    """A data centre at whose issuer the user has logged in, for tokens of a minute; no token is in the environment."""
    monkeypatch.delenv("BEARER_TOKEN")
    for name in ("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name, value in fake_cta.oidc_environ().items():
        monkeypatch.setenv(name, value)
    fake_cta.issuer.configure(token_lifetime=60.0)
    fake_cta.issuer.approve_next()
    sessions.log_in(Config.from_env(), None, lambda grant: None, sleep=lambda seconds: None)
    fake_cta.put("/lst/a.txt", b"a")
    return fake_cta


def test_settings_are_references_and_reach_the_client_by_their_own_names(new_provider: NewProvider) -> None:
    config = new_provider(**REFERENCES)._config(None)
    expected = Config(**REFERENCES)  # type: ignore[arg-type]  # texts, as Snakemake gives them

    assert {name: getattr(config, name) for name in REFERENCES} == {
        name: getattr(expected, name) for name in REFERENCES
    }
    assert not {"token", "client_secret", "hub_token"} & {spec.name for spec in fields(StorageProviderSettings)}


@pytest.mark.parametrize("way", ["setting", "environment"])
def test_who_refreshes_is_said_for_all_instances(
    way: str, new_provider: NewProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "environment":
        monkeypatch.setenv("CTA_REFRESH", "never")
    provider = new_provider(refresh="never") if way == "setting" else new_provider()

    assert [provider._config(profile).refresh for profile in (None, "dev")] == ["never", "never"]
    assert [provider._config(profile).ambient_credentials for profile in (None, "dev")] == [True, True]


def test_a_login_is_found_without_any_setting(logged_in: FakeCta, new_provider: NewProvider) -> None:
    assert new_provider().object("cta://lst/a.txt").exists()


def test_a_login_of_another_instance_is_used_for_its_addresses_only(
    logged_in: FakeCta, new_provider: NewProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "xdg" / "ctadata-providers" / "config.toml"
    config.parent.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    config.write_text(
        f'[profiles.site]\ndoor_url = "{logged_in.door_url}"\n'
        f'issuer = "{logged_in.issuer.url}"\nclient_id = "{logged_in.issuer.client().client_id}"\n'
    )
    for name in ("CTA_ISSUER", "CTA_CLIENT_ID"):
        monkeypatch.delenv(name)
    provider = new_provider()

    assert provider.object("cta://site@lst/a.txt").exists()

    with pytest.raises(CredentialError):
        provider.object("cta://lst/a.txt").exists()


def test_a_refused_token_is_refreshed_once(logged_in: FakeCta, new_provider: NewProvider) -> None:
    logged_in.clock_ahead = 100.0  # the door takes it for one that has ended
    provider = new_provider()

    assert all(provider.object(f"cta://lst/{name}.txt").exists() == (name == "a") for name in "ab")
    assert len(logged_in.issuer.grants("refresh_token")) == 1


def test_a_process_that_only_reads_waits_for_the_token_that_another_one_gets(
    logged_in: FakeCta, new_provider: NewProvider
) -> None:
    logged_in.clock_ahead = 100.0
    made = new_provider(refresh="never").object("cta://lst/a.txt")
    with ThreadPoolExecutor(1) as threads:
        found = threads.submit(made.exists)
        while not logged_in.requests and not found.done():
            time.sleep(0.01)
        sessions.refresh(Config.from_env())

        assert found.result(15)

    assert [request.status for request in logged_in.requests] == [401, 207]
    assert len(logged_in.issuer.grants("refresh_token")) == 1
