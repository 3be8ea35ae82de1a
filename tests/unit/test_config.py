import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, ConfigError
from ctadata_providers.config import BUILT_IN_PROFILES, CREDENTIAL_SETTINGS

SECRET = "a-very-secret-token"


def config_of(**settings: Any) -> Config:
    """Return settings made of what mappings and command lines give."""
    return Config(**settings)


# What it is


def test_the_defaults_are_those_of_the_design() -> None:
    config = Config()

    assert (config.profile, config.backend) == ("prod", "webdav")
    assert (config.door_url, config.base_path) == ("https://dcache.cta.cscs.ch:2880", "/")
    assert (config.max_parallel, config.retries) == (16, 5)
    assert (config.connect_timeout, config.timeout) == (20.0, 60.0)
    assert (config.trusted_hosts, config.allow_http_pools) == ((), False)
    assert config.checksum == "auto"
    assert all(getattr(config, name) is None for name in CREDENTIAL_SETTINGS - {"grant_type"})


def test_it_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().retries = 1  # type: ignore[misc]  # that is what is tried


def test_construction_reads_neither_environment_nor_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_TOKEN", SECRET)
    monkeypatch.setenv("CTA_DOOR_URL", "https://elsewhere.example")

    assert config_of(token_file="/does/not/exist") == config_of(token_file=Path("/does/not/exist"))
    assert Config().token is None
    assert Config().door_url == BUILT_IN_PROFILES["prod"]["door_url"]


def test_no_representation_shows_the_token_or_the_callback() -> None:
    config = config_of(token=SECRET, client_secret=SECRET, on_token=print)

    assert SECRET not in repr(config) + str(config)
    assert "print" not in repr(config)


def test_a_pickle_holds_neither_token_nor_callback() -> None:
    config = config_of(
        token=SECRET,
        client_secret=SECRET,
        on_token=lambda token: None,
        door_url="https://door.example",
        retries=2,
    )
    data = pickle.dumps(config)
    other = pickle.loads(data)

    assert SECRET.encode() not in data
    assert (other.token, other.client_secret, other.on_token) == (None, None, None)
    assert (other.door_url, other.retries) == ("https://door.example", 2)


def test_a_token_command_goes_along_in_a_pickle_as_the_worker_needs_it() -> None:
    other = pickle.loads(pickle.dumps(config_of(token_command=["print-token", "--for", "door"])))

    assert other.token_command == ("print-token", "--for", "door")
    assert "--for" not in repr(other)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda config: copy.deepcopy([config])[0]])
def test_a_copy_in_this_process_keeps_secrets_and_callbacks(copied: Callable[[Config], Config]) -> None:
    seen: list[str] = []
    config = config_of(token=SECRET, client_secret="another", hub_token="third", on_token=seen.append)
    found = copied(config)

    assert (found.token, found.client_secret, found.hub_token) == (SECRET, "another", "third")
    assert found.on_token == config.on_token
    assert found.given_by("token") == "explicit"


@pytest.mark.parametrize("value", [f"{SECRET} with a blank", f"{SECRET}\nX-Header: 1", f"{SECRET}ü", 17, ""])
def test_a_malformed_token_is_refused_without_being_shown(value: object) -> None:
    with pytest.raises(ConfigError, match="token") as caught:
        config_of(token=value)

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("value", [f"eyJhbGciOiJSUzI1NiJ9.{SECRET}.c2ln", f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}"])
@pytest.mark.parametrize("name", ["token_file", "client_secret_file", "proxy_file", "key_file"])
def test_a_credential_in_place_of_its_file_is_refused_without_being_shown(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"setting {name} is a credential itself, and not the name of") as caught:
        Config.from_mapping({name: value})

    assert SECRET not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    "url", [f"https://alice:{SECRET}@door.example", f"https://door.example?authz={SECRET}", f"htps://x@{SECRET}"]
)
def test_a_secret_in_a_refused_url_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(door_url=url)

    assert SECRET not in str(caught.value)


# What a value may be


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("door_url", " https://Door.Example:2880/ ", "https://door.example:2880"),
        ("door_url", "http://[::1]:80", "http://[::1]:80"),
        ("base_path", "data//x/", "/data/x"),
        ("base_path", "/", "/"),
        ("token", f" {SECRET}\n", SECRET),
        ("token_file", "/a/b", Path("/a/b")),
        ("token_command", "get-token --for 'the door'", ("get-token", "--for", "the door")),
        ("token_command", ["get-token", "a b"], ("get-token", "a b")),
        ("issuer", "https://keycloak.example/realms/master/", "https://keycloak.example/realms/master"),
        ("issuer", "http://localhost:8080/realms/x", "http://localhost:8080/realms/x"),
        ("grant_type", "client_credentials", "client_credentials"),
        ("refresh", "never", "never"),
        ("ambient_credentials", "true", True),
        ("ca_path", Path("/a/b"), Path("/a/b")),
        ("trusted_hosts", "A.example, *.b.example ,", ("a.example", "*.b.example")),
        ("trusted_hosts", ["a.example"], ("a.example",)),
        ("copy_hosts", "localhost,127.0.0.1,::1,2001:DB8::7", ("localhost", "127.0.0.1", "::1", "2001:db8::7")),
        ("allow_http_pools", "TRUE", True),
        ("allow_http_pools", "0", False),
        ("allow_http_pools", "off", False),
        ("allow_http_pools", "yes", True),
        ("max_parallel", " 8 ", 8),
        ("retries", "0", 0),
        ("timeout", "2.5", 2.5),
        ("max_requests_per_second", 100, 100.0),
        ("checksum", "require", "require"),
        ("backend", "memory", "memory"),
        ("home", "lst/users/alice", "/lst/users/alice"),
    ],
)
def test_a_value_is_parsed(name: str, text: object, value: object) -> None:
    assert getattr(config_of(**{name: text}), name) == value
    assert getattr(Config.from_mapping({name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("door_url", "door.example:2880"),
        ("door_url", "ftp://door.example"),
        ("door_url", "https://"),
        ("door_url", "https://door.example/path"),
        ("door_url", "https://door.example:99999"),
        ("door_url", "https://door.example:port"),
        ("door_url", "https://door.example#x"),
        ("door_url", "https://[::1"),
        ("door_url", "https://a b.example"),
        ("door_url", "https://dörr.example"),
        ("service_url", "https://dörr.example/services/downloadservice/"),
        ("door_url", "https://a\nb.example"),
        ("base_path", "/data/../x"),
        ("base_path", "/a\nb"),
        ("base_path", "/a\0b"),
        ("home", "./x"),
        ("token_file", ""),
        ("token_command", "get-token 'open"),
        ("token_command", []),
        ("token_command", 3),
        ("issuer", "keycloak.example"),
        ("issuer", "http://keycloak.example"),
        ("issuer", "https://keycloak.example?x"),
        ("issuer", "https://[::1"),
        ("issuer", "https://a.example/x y"),
        ("issuer", "https://x:port"),
        ("grant_type", "password"),
        ("refresh", "sometimes"),
        ("token_file", 3),
        ("token_file", "a\0b"),
        ("token_file", "~no-such-user-here/token"),
        ("copy_hosts", "*"),
        ("trusted_hosts", "*"),
        ("trusted_hosts", "*.*.example"),
        ("trusted_hosts", "https://a.example"),
        ("copy_hosts", "a.example:2880"),
        ("copy_hosts", "[::1]"),
        ("copy_hosts", "user@a.example"),
        ("copy_hosts", "a.example b.example"),
        ("trusted_hosts", 7),
        ("allow_http_pools", "maybe"),
        ("allow_http_pools", "2"),
        ("max_parallel", "0"),
        ("max_parallel", "-1"),
        ("max_parallel", "many"),
        ("max_parallel", 1.5),
        ("retries", "-1"),
        ("timeout", "0"),
        ("timeout", "nan"),
        ("timeout", "inf"),
        ("timeout", "soon"),
        ("timeout", "1e10"),
        ("connect_timeout", -1),
        ("max_requests_per_second", 0),
        ("max_requests_per_second", 1e-300),
        ("checksum", "AUTO"),
        ("backend", "ftp"),
        ("profile", ""),
        ("on_token", "print"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        config_of(**{name: value})


@pytest.mark.parametrize(
    "name",
    sorted(spec.name for spec in fields(Config) if spec.default is not None and spec.name != "service_url"),
)
def test_none_is_no_value_of_a_setting_that_has_a_default(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        config_of(**{name: None})


def test_a_command_that_cannot_be_split_is_not_shown() -> None:
    with pytest.raises(ConfigError, match="quotes") as caught:
        config_of(token_command="print-token --password geheim '")

    assert "geheim" not in str(caught.value)


def test_a_variable_before_a_command_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match="no shell") as caught:
        config_of(token_command="PASSWORD=geheim print-token")

    assert "geheim" not in str(caught.value)


def test_an_issuer_that_cannot_be_used_is_shown_but_for_a_password() -> None:
    with pytest.raises(ConfigError, match=r"http://issuer\.example/realms/x"):
        config_of(issuer="http://issuer.example/realms/x")
    with pytest.raises(ConfigError, match="issuer") as caught:
        config_of(issuer="http://alice:geheim@issuer.example/")

    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "instance"),
    [
        ({}, "prod"),
        ({"profile": "dev"}, "dev"),
        ({"service_url": "https://platform.cta.cscs.ch/services/downloadservice/"}, "prod"),
        ({"backend": "memory"}, "memory"),
        ({"door_url": "https://door.example:1094"}, "https://door.example:1094"),
        ({"door_url": "https://door.example", "base_path": "/pnfs"}, "https://door.example/pnfs"),
        ({"base_path": "/pnfs"}, "https://dcache.cta.cscs.ch:2880/pnfs"),
        (
            {"service_url": "https://hub.example/services/downloadservice/"},
            "https://hub.example/services/downloadservice/",
        ),
    ],
)
def test_a_storage_is_told_by_its_profile_or_its_url(settings: dict[str, str], instance: str) -> None:
    assert Config.from_mapping(settings).instance == instance
