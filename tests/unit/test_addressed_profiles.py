"""A profile that nothing but an address names is shown no credential of the one that is chosen."""

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctadata_providers import Config, CredentialError, CtaClient
from ctadata_providers.cli import main
from ctadata_providers.config import config_file, config_for
from ctadata_providers.credentials import discovery, hub, resolve
from ctadata_providers.testing import FakeCta

A, B = "https://a.example:2880", "https://b.example:2880"
Write = Callable[[str], None]


@pytest.fixture(scope="module")
def other() -> Iterator[FakeCta]:
    """Another data centre than that of the environment."""
    with FakeCta() as cta:
        yield cta


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the user's config.toml, in a home and an environment of this test alone."""
    for name in list(os.environ):
        if name.startswith(("CTA", "BEARER", "X509_USER", "XDG_", "OIDC_", "JUPYTER")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(discovery, "SHARED_FOLDER", tmp_path / "shared")
    (tmp_path / "shared").mkdir()

    def write(text: str) -> None:
        place = config_file(os.environ)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(0o600)

    write(f'[profiles.a]\ndoor_url = "{A}"\n[profiles.b]\ndoor_url = "{B}"\n')
    return write


def token_of(config: Config) -> str | None:
    token = resolve(config).token()
    return token.value if token else None


@pytest.mark.parametrize("variable", ["BEARER_TOKEN", "BEARER_TOKEN_FILE", "CTA_TOKEN_COMMAND", "X509_USER_PROXY"])
def test_what_the_environment_gives_stays_with_the_profile_that_is_chosen(
    variable: str, profiles: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTA_PROFILE", "a")
    monkeypatch.setenv(variable, "/no/such/file" if "FILE" in variable or "X509" in variable else "echo")

    for chosen in (config_for(None), config_for("a"), config_for("b", profile="b")):
        found = resolve(chosen)
        assert found.token_provider or found.certificate
    with pytest.raises(CredentialError, match=rf"{variable}.* not shown to {B}.*\[profiles.b\].*--profile b"):
        resolve(config_for("b"))


@pytest.mark.parametrize("name", ["bt_u", "x509up_u"])
def test_what_lies_about_stays_with_the_profile_that_is_chosen(name: str, profiles: Write, tmp_path: Path) -> None:
    place = tmp_path / "shared" / f"{name}{os.geteuid()}"
    place.write_text("lying-about")
    place.chmod(0o600)

    found = resolve(config_for("b", profile="b"))
    assert found.token_provider or found.certificate
    with pytest.raises(CredentialError, match=f"{name}.* not shown to {B}"):
        resolve(config_for("b"))


def test_a_profile_with_the_door_of_the_one_that_is_chosen_shares_its_credential(
    profiles: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles(f'[profiles.a]\ndoor_url = "{A}"\n[profiles.b]\ndoor_url = "{A.upper()}/"\nbase_path = "/other"\n')
    monkeypatch.setenv("CTA_PROFILE", "a")
    monkeypatch.setenv("BEARER_TOKEN", "of-a")

    assert token_of(config_for("b")) == "of-a"


def test_what_the_profile_has_and_what_is_given_explicitly_stay(
    profiles: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "given").write_text("given")
    profiles(f'[profiles.b]\ndoor_url = "{B}"\ntoken = "of-b"\n')
    monkeypatch.setenv("BEARER_TOKEN", "of-prod")

    assert token_of(config_for("b")) == "of-b"
    assert token_of(config_for("b", token_file=tmp_path / "given")) == "given"
    assert token_of(config_for("prod")) == "of-prod"


def test_the_issuer_of_the_environment_is_not_that_of_the_profile(
    profiles: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTA_ISSUER", "https://issuer.example")
    monkeypatch.setenv("CTA_CLIENT_ID", "me")
    monkeypatch.setenv("OIDC_SOCK", "/no/such/socket")

    assert (config_for("b").issuer, config_for("b").client_id) == (None, None)
    assert token_of(config_for("b")) is None


def test_a_default_profile_whose_door_the_environment_has_changed_is_another(
    profiles: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTA_DOOR_URL", A)
    monkeypatch.setenv("BEARER_TOKEN", "of-a")

    assert token_of(config_for(None)) == "of-a"
    with pytest.raises(CredentialError, match=r"not shown to https://dcache\.cta"):
        resolve(config_for("prod"))


def test_a_hub_token_stays_with_its_hub(profiles: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles('[profiles.b]\nservice_url = "https://hub.example/services/downloadservice/"\n')
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "of-a-hub")
    config = config_for("b")

    assert hub.may_have(config_for("b", profile="b"), config.service_url or "")
    with pytest.raises(CredentialError, match=r"of another hub .* choose the profile: --profile b"):
        hub.hub_credential(config, config.service_url or "")
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_HUB_URL", "https://hub.example/hub/")
    assert hub.may_have(config, config.service_url or "")


def test_changed_and_copied_settings_remember_it(profiles: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_TOKEN", "of-prod")
    changed = config_for("b").with_settings(retries=0)

    for config in (changed, pickle.loads(pickle.dumps(changed))):
        with pytest.raises(CredentialError, match="nothing but the address"):
            resolve(config)


@pytest.fixture
def two(profiles: Write, fake_cta: FakeCta, other: FakeCta, monkeypatch: pytest.MonkeyPatch) -> FakeCta:
    """The environment is that of one data centre, and the profile `b` of the other, which is returned."""
    for name, value in fake_cta.environ().items():
        monkeypatch.setenv(name, value)
    profiles(f'[profiles.b]\ndoor_url = "{other.door_url}"\nca_path = "{other.ca_file}"\n')
    other.reset()
    return other


@pytest.mark.parametrize(
    "command",
    [["list", "cta://b@/"], ["get", "cta://b@f", "."], ["cp", "cta://f", "cta://b@g"], ["cp", "cta://b@f", "cta://g"]],
    ids=" ".join,
)
def test_no_command_shows_a_token_to_the_door_of_an_address(
    command: list[str],
    two: FakeCta,
    fake_cta: FakeCta,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake_cta.put("/f", b"x")
    two.put("/f", b"x")
    monkeypatch.chdir(tmp_path)
    code = main(command)

    assert code == 1
    assert "put token_file into [profiles.b], or choose that profile: --profile b" in capsys.readouterr().err
    assert not list(two.requests)


def test_a_client_that_copies_to_another_profile_shows_it_no_token(two: FakeCta, fake_cta: FakeCta) -> None:
    fake_cta.put("/f", b"x")
    with CtaClient() as client, pytest.raises(CredentialError, match=r"put token_file into \[profiles.b\]"):
        client.copy("/f", "cta://b@g")

    assert not list(two.requests)


def test_a_profile_that_is_named_by_an_option_takes_the_token_of_the_environment(
    two: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", two.token)

    assert main(["list", "--profile", "b", "cta://b@/"]) == 0
