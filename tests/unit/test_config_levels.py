"""From where settings come: explicit, profile, environment, default."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, ConfigError
from ctadata_providers.config import BUILT_IN_PROFILES, CREDENTIAL_SETTINGS, ENVIRONMENT, config_file

SECRET = "a-very-secret-token"
PROD = {name: BUILT_IN_PROFILES["prod"][name] for name in ("issuer", "client_id")}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment without settings, whose config.toml is `tmp_path/ctadata-providers/config.toml`."""
    return {"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/nonexistent"}


@pytest.fixture
def profiles(environ: dict[str, str]) -> Path:
    """A config.toml with profiles; returns its path."""
    path = config_file(environ)
    path.parent.mkdir()
    path.write_text("""
        [profiles.site]
        door_url = "https://site.example:2880"
        base_path = "/data"
        token_file = "/site/token"
        max_parallel = 3
        timeout = 12.5
        allow_http_pools = true
        trusted_hosts = ["a.example", "*.pools.example"]

        [profiles.dev]
        home = "/lst/users/alice"

        [profiles.prod]
        retries = 1

        [profiles.empty]
    """)
    return path


def config_of(**settings: Any) -> Config:
    """Return settings made of what mappings and command lines give."""
    return Config(**settings)


def test_the_order_is_explicit_then_named_profile_then_environment(environ: dict[str, str], profiles: Path) -> None:
    environ |= {"CTA_DOOR_URL": "https://env.example", "CTA_RETRIES": "9", "CTA_MAX_PARALLEL": "9", "CTA_HOME": "/h"}
    config = Config.from_env(environ, profile="site", max_parallel=7)

    assert config.profile == "site"
    assert config.max_parallel == 7
    assert config.door_url == "https://site.example:2880"
    assert config.retries == 9
    assert config.home == "/h"
    assert config.connect_timeout == 20.0


def test_the_environment_goes_before_the_profile_that_it_names(environ: dict[str, str], profiles: Path) -> None:
    environ |= {"CTA_PROFILE": "site", "CTA_DOOR_URL": "https://env.example"}
    config = Config.from_env(environ)

    assert config.profile == "site"
    assert config.door_url == "https://env.example"
    assert config.base_path == "/data"


def test_the_environment_goes_before_the_default_profile(environ: dict[str, str], profiles: Path) -> None:
    environ["CTA_RETRIES"] = "2"

    assert Config.from_env(environ).retries == 2
    assert Config.from_env({**environ, "CTA_RETRIES": ""}).retries == 1


def test_an_explicit_profile_goes_before_the_one_in_the_environment(environ: dict[str, str], profiles: Path) -> None:
    assert Config.from_env({**environ, "CTA_PROFILE": "site"}, profile="dev").profile == "dev"


def test_none_is_not_given(environ: dict[str, str]) -> None:
    environ["CTA_RETRIES"] = "2"

    assert Config.from_env(environ, retries=None, profile=None, token=None).retries == 2


@pytest.mark.parametrize(("name", "variables"), ENVIRONMENT.items())
def test_each_variable_gives_its_setting(name: str, variables: tuple[str, ...], environ: dict[str, str]) -> None:
    example = {
        "backend": "memory",
        "door_url": "https://x.example",
        "service_url": "https://x.example/services/downloadservice/",
        "certificate_service_url": "https://x.example/services/certificateservice/",
        "hub_url": "https://x.example/hub/",
        "allow_http_pools": "true",
        "trusted_hosts": "x.example",
        "copy_hosts": "x.example",
        "checksum": "off",
        "issuer": "https://x.example",
        "grant_type": "client_credentials",
        "refresh": "never",
    }.get(name, "7")
    for variable in variables:
        assert getattr(Config.from_env({**environ, variable: example}), name) == getattr(
            config_of(**{name: example}), name
        )


def test_the_documented_variables_are_known() -> None:
    known = {variable for variables in ENVIRONMENT.values() for variable in variables}

    assert known >= {
        *("CTA_BACKEND", "CTA_DOOR_URL", "CTA_BASE_PATH", "BEARER_TOKEN", "BEARER_TOKEN_FILE", "X509_USER_PROXY"),
        *("X509_USER_CERT", "X509_USER_KEY", "X509_CERT_DIR", "CTA_CA_PATH", "CTA_TRUSTED_HOSTS", "CTA_HOME"),
        *("CTA_ALLOW_HTTP_POOLS", "CTA_MAX_PARALLEL", "CTA_RETRIES", "CTA_CHECKSUM"),
    }


def test_an_empty_or_blank_variable_gives_nothing(environ: dict[str, str]) -> None:
    environ |= {"BEARER_TOKEN": "", "CTA_HOME": "  ", "CTA_DOOR_URL": "\n"}

    assert Config.from_env(environ) == config_of(**PROD, ambient_credentials=True)


def test_our_own_variable_for_cas_goes_before_the_grids(environ: dict[str, str]) -> None:
    environ |= {"CTA_CA_PATH": "/ours", "X509_CERT_DIR": "/grid"}

    assert Config.from_env(environ).ca_path == Path("/ours")


# Credentials are one group

CREDENTIALS: Mapping[str, Any] = {
    "token": "explicit",
    "token_file": Path("/explicit/token"),
    "token_command": ("get-token", "--explicit"),
    "oidc_account": "explicit",
    "grant_type": "client_credentials",
    "proxy_file": Path("/explicit/proxy"),
    "cert_file": Path("/explicit/cert"),
}


def _credentials(config: Config) -> dict[str, object]:
    """Return the credential settings that are given."""
    default = Config()
    values = {name: getattr(config, name) for name in CREDENTIAL_SETTINGS}
    return {name: value for name, value in values.items() if value != getattr(default, name)}


@pytest.mark.parametrize(("name", "value"), CREDENTIALS.items())
def test_one_explicit_credential_rules_out_all_ambient_ones(
    name: str, value: object, environ: dict[str, str], profiles: Path
) -> None:
    environ |= {"BEARER_TOKEN": SECRET, "BEARER_TOKEN_FILE": "/t", "X509_USER_PROXY": "/p", "X509_USER_KEY": "/k"}

    assert _credentials(Config.from_env(environ, **{name: value})) == {name: value}
    assert _credentials(Config.from_env(environ, profile="site", **{name: value})) == {name: value}
    assert _credentials(Config.from_mapping({"profile": "prod", name: value})) == {name: value}


@pytest.mark.parametrize(("name", "value"), CREDENTIALS.items())
def test_one_changed_credential_rules_out_those_of_before(name: str, value: object) -> None:
    before = config_of(token=SECRET, proxy_file="/p", cert_file="/c", key_file="/k", retries=3)
    after = before.with_settings(**{name: value})

    assert _credentials(after) == {name: value}
    assert after.retries == 3
    assert _credentials(before.with_settings(retries=1)) == _credentials(before)


def test_a_named_profiles_credential_rules_out_the_environments(environ: dict[str, str], profiles: Path) -> None:
    environ["BEARER_TOKEN"] = SECRET

    assert _credentials(Config.from_env(environ, profile="site")) == {"token_file": Path("/site/token")}
    assert _credentials(Config.from_env(environ, profile="dev")) == {"token": SECRET}
    assert _credentials(Config.from_env({**environ, "CTA_PROFILE": "site"})) == {"token": SECRET}


def test_the_environments_own_credentials_are_all_taken(environ: dict[str, str]) -> None:
    environ |= {"X509_USER_CERT": "/c", "X509_USER_KEY": "/k"}

    assert _credentials(Config.from_env(environ)) == {"cert_file": Path("/c"), "key_file": Path("/k")}


# The issuer, and the identity that belongs to it


ISSUERS = {"explicit": "https://explicit.example", "env": "https://env.example"}


def test_a_chosen_issuer_rules_out_the_credentials_of_lower_levels(environ: dict[str, str], profiles: Path) -> None:
    environ |= {"BEARER_TOKEN": SECRET, "CTA_CLIENT_SECRET": SECRET}

    assert _credentials(Config.from_env(environ, issuer=ISSUERS["explicit"])) == {}
    assert _credentials(config_of(token=SECRET).with_settings(issuer=ISSUERS["explicit"])) == {}


def test_the_issuer_of_a_built_in_profile_rules_out_nothing(environ: dict[str, str]) -> None:
    environ["BEARER_TOKEN"] = SECRET

    assert _credentials(Config.from_env(environ, profile="dev")) == {"token": SECRET}
    assert Config.from_env(environ, profile="dev").issuer == BUILT_IN_PROFILES["dev"]["issuer"]


def test_a_profile_of_the_file_with_an_issuer_rules_out_the_environments(
    environ: dict[str, str], profiles: Path
) -> None:
    environ["BEARER_TOKEN"] = SECRET
    profiles.write_text('[profiles.site]\nissuer = "https://site.example/"\nclient_id = "ours"')
    config = Config.from_env(environ, profile="site")

    assert _credentials(config) == {}
    assert (config.issuer, config.client_id) == ("https://site.example", "ours")


@pytest.mark.parametrize("name", ["door_url", "issuer"])
def test_the_client_of_a_built_in_profile_is_not_taken_to_another_door_or_issuer(
    name: str, environ: dict[str, str]
) -> None:
    other = "https://other.example"
    for config in (
        Config.from_env(environ, **{name: other}),
        Config.from_env({**environ, {"door_url": "CTA_DOOR_URL", "issuer": "CTA_ISSUER"}[name]: other}),
        Config.from_mapping({name: other}),
        Config.from_env(environ).with_settings(**{name: other}),
    ):
        assert config.client_id is None
        assert config.issuer == (other if name == "issuer" else None)


def test_the_same_door_and_issuer_in_other_words_keep_the_built_in_client(environ: dict[str, str]) -> None:
    same = {name: f"{BUILT_IN_PROFILES['prod'][name]}/" for name in ("door_url", "issuer")}

    assert Config.from_env(environ, **same).client_id == PROD["client_id"]
    assert Config.from_env(environ).with_settings(**same).client_id == PROD["client_id"]


def test_a_client_that_was_given_is_kept_with_a_new_door(environ: dict[str, str]) -> None:
    config = Config.from_env(environ, issuer=ISSUERS["explicit"], client_id="ours")

    assert config.with_settings(door_url="https://other.example").client_id == "ours"


# Who gave a setting


def test_a_setting_tells_who_gave_it(environ: dict[str, str], profiles: Path) -> None:
    environ |= {"CTA_PROFILE": "site", "CTA_DOOR_URL": ISSUERS["env"]}
    config = Config.from_env(environ, retries=3)

    assert (config.given_by("retries"), config.given_by("door_url")) == ("explicit", "environment")
    assert (config.given_by("token_file"), config.given_by("home")) == ("profile", None)
    assert Config.from_env({**environ, "CTA_DOOR_URL": ""}, profile="dev").given_by("issuer") == "built-in"


def test_changed_settings_tell_who_gave_each(environ: dict[str, str]) -> None:
    environ |= {"BEARER_TOKEN_FILE": "/t", "CTA_HOME": "/h"}
    config = Config.from_env(environ).with_settings(proxy_file="/p")

    assert (config.given_by("proxy_file"), config.given_by("token_file")) == ("explicit", None)
    assert (config.given_by("home"), config.given_by("client_id")) == ("environment", "built-in")


def test_settings_made_in_python_are_explicit() -> None:
    config = config_of(token_file="/t", retries=5)

    assert (config.given_by("token_file"), config.given_by("retries"), config.given_by("issuer")) == (
        "explicit",
        None,
        None,
    )


def test_who_gave_a_setting_travels_in_a_pickle(environ: dict[str, str]) -> None:
    environ["BEARER_TOKEN_FILE"] = "/t"

    assert pickle.loads(pickle.dumps(Config.from_env(environ))).given_by("token_file") == "environment"


# Profiles


def test_a_profile_of_the_file_is_read_whole(environ: dict[str, str], profiles: Path) -> None:
    config = Config.from_env(environ, profile="site")

    assert config.base_path == "/data"
    assert (config.max_parallel, config.timeout, config.allow_http_pools) == (3, 12.5, True)
    assert config.trusted_hosts == ("a.example", "*.pools.example")


def test_a_profile_of_the_file_adds_to_the_built_in_one(environ: dict[str, str], profiles: Path) -> None:
    config = Config.from_env(environ, profile="dev")

    assert config.home == "/lst/users/alice"
    assert config.door_url == BUILT_IN_PROFILES["dev"]["door_url"]


def test_a_profile_without_settings_is_a_profile(environ: dict[str, str], profiles: Path) -> None:
    assert Config.from_env(environ, profile="empty") == config_of(profile="empty", ambient_credentials=True)


def test_an_unknown_profile_is_refused_and_the_known_are_told(environ: dict[str, str], profiles: Path) -> None:
    with pytest.raises(ConfigError, match="dev, empty, prod, site"):
        Config.from_env(environ, profile="nowhere")
    with pytest.raises(ConfigError, match="nowhere"):
        Config.from_env({**environ, "CTA_PROFILE": "nowhere"})


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[profiles.site", "cannot read"),
        ("profiles = 3", "site"),
        ("profiles.site = 3", "not a table"),
        ("[profiles.site]\ndoor = 'x'", "unknown setting 'door'"),
        ("[site]\nretries = 3\n[profiles.site]", r"'site' in .* means nothing; settings stand below \[profiles"),
        ("token_file = '/x'\n[profiles.site]", "'token_file' in .* means nothing"),
        ("[profiles.site]\nretries = 'many'", "retries"),
        ("[profiles.site]\non_token = 'print'", "on_token"),
    ],
)
def test_a_broken_file_is_told_as_such(text: str, hint: str, environ: dict[str, str], profiles: Path) -> None:
    profiles.write_text(text)
    with pytest.raises(ConfigError, match=hint):
        Config.from_env(environ, profile="site")


def test_a_file_that_is_no_text_is_told_as_such(environ: dict[str, str], profiles: Path) -> None:
    profiles.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot read"):
        Config.from_env(environ)


@pytest.mark.parametrize("name", ["token", "client_secret"])
def test_a_secret_in_a_file_that_others_can_read_is_refused(name: str, environ: dict[str, str], profiles: Path) -> None:
    profiles.write_text(f'[profiles.site]\n{name} = "{SECRET}"')
    profiles.chmod(0o640)
    with pytest.raises(ConfigError, match=f"chmod 600 {profiles}") as caught:
        Config.from_env(environ, profile="site")
    profiles.chmod(0o600)

    assert SECRET not in str(caught.value)
    assert getattr(Config.from_env(environ, profile="site"), name) == SECRET


def test_profiles_live_in_the_users_configuration_folder() -> None:
    assert config_file({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == Path("/x/ctadata-providers/config.toml")
    assert config_file({"HOME": "/h"}) == Path("/h/.config/ctadata-providers/config.toml")


# Complete mappings


def test_a_mapping_is_complete_by_itself(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], profiles: Path
) -> None:
    for variable, value in {**environ, "BEARER_TOKEN": SECRET, "CTA_RETRIES": "9", "CTA_PROFILE": "site"}.items():
        monkeypatch.setenv(variable, value)

    assert Config.from_mapping({}) == config_of(**PROD)
    assert Config.from_mapping({"door_url": "https://x.example"}) == config_of(door_url="https://x.example")


def test_empty_strings_and_none_in_a_mapping_are_not_given() -> None:
    mapping = {"door_url": "", "token": None, "max_parallel": "", "checksum": None, "trusted_hosts": "", "profile": ""}

    assert Config.from_mapping(mapping) == config_of(**PROD)


def test_a_mapping_may_name_a_built_in_profile() -> None:
    config = Config.from_mapping({"profile": "dev", "retries": "4"})

    assert (config.profile, config.door_url, config.retries) == ("dev", BUILT_IN_PROFILES["dev"]["door_url"], 4)


def test_a_mapping_does_not_read_config_toml(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], profiles: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", environ["XDG_CONFIG_HOME"])

    with pytest.raises(ConfigError, match=r"'site'.*prod, dev"):
        Config.from_mapping({"profile": "site"})


@pytest.mark.parametrize(
    "make", [Config.from_mapping, lambda m: Config.from_env({}, **m), lambda m: Config().with_settings(**m)]
)
def test_an_unknown_setting_is_refused_and_the_known_are_told(make: Any) -> None:
    with pytest.raises(ConfigError, match=r"'door'.*door_url"):
        make({"door": "https://x.example"})
