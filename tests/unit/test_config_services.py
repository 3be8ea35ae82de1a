"""The settings of the CTA services, and when they are meant rather than a door."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, ConfigError

SERVICE = "https://hub.example/services/downloadservice/"
PLATFORM = "https://platform.cta.cscs.ch/services/downloadservice/"
DOOR = "https://door.example:2880"
SECRET = "a-very-secret-hub-token"


def config_of(**settings: Any) -> Config:
    """Return settings made of what mappings and command lines give."""
    return Config(**settings)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/nonexistent"}


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    file = tmp_path / "ctadata-providers" / "config.toml"
    file.parent.mkdir()
    file.write_text(
        f'[profiles.both]\ndoor_url = "{DOOR}"\nservice_url = "{SERVICE}"\n[profiles.site]\ndoor_url = "{DOOR}"\n'
    )
    return file


# What they may be


@pytest.mark.parametrize(
    "given",
    [
        "https://hub.example/services/downloadservice",
        "https://HUB.example/services/downloadservice//",
        " https://hub.example/services/downloadservice/ ",
    ],
)
def test_a_service_url_ends_in_one_slash(given: str) -> None:
    assert config_of(service_url=given).service_url == SERVICE


@pytest.mark.parametrize(
    "given",
    [
        "hub.example",
        "ftp://hub.example/",
        f"{SERVICE}?token={SECRET}",
        f"https://{SECRET}@hub.example/",
        "https://[::1/",
    ],
)
@pytest.mark.parametrize("name", ["service_url", "certificate_service_url", "hub_url"])
def test_another_url_is_refused_and_no_secret_in_it_shown(name: str, given: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        config_of(**{name: given})

    assert SECRET not in str(caught.value)


def test_the_hub_token_is_neither_shown_nor_pickled() -> None:
    config = config_of(hub_token=SECRET, service_url=SERVICE)

    assert SECRET not in repr(config) + str(config)
    assert SECRET.encode() not in pickle.dumps(config)
    assert pickle.loads(pickle.dumps(config)).service_url == SERVICE


def test_the_certificateservice_and_the_hub_are_found_beside_the_downloadservice() -> None:
    config = config_of(service_url=SERVICE)

    assert config.certificate_service == "https://hub.example/services/certificateservice/"
    assert config.hub == "https://hub.example/hub/"
    assert config_of(service_url="https://a.example/j/services/downloadservice/").hub == "https://a.example/j/hub/"


def test_they_are_what_is_given_where_they_are_given() -> None:
    config = config_of(
        service_url=SERVICE, certificate_service_url="https://c.example/cs", hub_url="https://h.example/jupyter/hub"
    )

    assert config.certificate_service == "https://c.example/cs/"
    assert config.hub == "https://h.example/jupyter/hub/"


def test_no_certificateservice_is_guessed_beside_a_service_of_another_name() -> None:
    assert config_of(service_url="https://hub.example/services/data/").certificate_service is None


# Which of them is meant


@pytest.mark.parametrize(
    ("explicit", "variables", "backend"),
    [
        ({}, {}, "webdav"),
        ({}, {"CTADS_URL": SERVICE}, "downloadservice"),
        ({"service_url": SERVICE}, {}, "downloadservice"),
        ({}, {"CTADS_URL": SERVICE, "CTA_DOOR_URL": DOOR}, "webdav"),
        ({"door_url": DOOR}, {"CTADS_URL": SERVICE}, "webdav"),
        ({"door_url": DOOR, "service_url": SERVICE}, {}, "webdav"),
        ({"service_url": SERVICE}, {"CTA_DOOR_URL": DOOR}, "downloadservice"),
        ({"backend": "webdav"}, {"CTADS_URL": SERVICE}, "webdav"),
        ({"backend": "downloadservice"}, {"CTA_DOOR_URL": DOOR}, "downloadservice"),
        ({}, {"CTADS_URL": SERVICE, "CTA_BACKEND": "webdav"}, "webdav"),
        ({"profile": "dev"}, {"CTADS_URL": SERVICE}, "webdav"),
        ({"profile": "site"}, {"CTADS_URL": SERVICE}, "webdav"),
        ({"profile": "both"}, {}, "downloadservice"),
        ({"profile": "both", "door_url": DOOR}, {}, "webdav"),
    ],
)
def test_what_was_given_first_chooses_the_backend(
    explicit: Mapping[str, Any], variables: dict[str, str], backend: str, environ: dict[str, str], profiles: Path
) -> None:
    assert Config.from_env({**environ, **variables}, **explicit).backend == backend


@pytest.mark.parametrize(
    ("variables", "backend"),
    [
        ({"JUPYTERHUB_API_URL": "https://platform.cta.cscs.ch/hub/api"}, "downloadservice"),
        ({"JUPYTERHUB_PUBLIC_HUB_URL": "https://platform.cta.cscs.ch:443/hub/"}, "downloadservice"),
        ({"JUPYTERHUB_PUBLIC_HUB_URL": "http://platform.cta.cscs.ch/hub/"}, "webdav"),
        ({"JUPYTERHUB_API_URL": "http://hub:8081/hub/api"}, "webdav"),
        ({"JUPYTERHUB_API_URL": "https://other.example/hub/api"}, "webdav"),
        ({}, "webdav"),
    ],
)
def test_on_the_hub_of_the_service_the_service_is_meant(
    variables: dict[str, str], backend: str, environ: dict[str, str]
) -> None:
    config = Config.from_env({**environ, **variables, "JUPYTERHUB_API_TOKEN": SECRET})

    assert config.backend == backend
    assert config.service_url == PLATFORM


def test_on_the_hub_without_a_token_the_door_is_meant(environ: dict[str, str]) -> None:
    environ["JUPYTERHUB_API_URL"] = "https://platform.cta.cscs.ch/hub/api"

    assert Config.from_env(environ).backend == "webdav"


def test_the_constructor_and_a_mapping_choose_alike() -> None:
    assert config_of(service_url=SERVICE).backend == "downloadservice"
    assert config_of(service_url=SERVICE, door_url=DOOR).backend == "webdav"
    assert Config.from_mapping({"service_url": SERVICE, "door_url": ""}).backend == "downloadservice"
    assert Config.from_mapping({"service_url": SERVICE, "door_url": DOOR}).backend == "webdav"


def test_another_place_given_later_chooses_anew() -> None:
    assert Config().with_settings(service_url=SERVICE).backend == "downloadservice"
    assert config_of(service_url=SERVICE).with_settings(door_url=DOOR).backend == "webdav"
    assert config_of(service_url=SERVICE).with_settings(retries=1).backend == "downloadservice"
    assert config_of(backend="webdav").with_settings(service_url=SERVICE).backend == "webdav"


def test_a_chosen_backend_is_not_told_as_given() -> None:
    assert config_of(service_url=SERVICE).given_by("backend") is None
    assert config_of(backend="webdav").given_by("backend") == "explicit"


def test_the_services_are_given_fewer_transfers_at_once(environ: dict[str, str]) -> None:
    environ["CTADS_URL"] = SERVICE

    assert Config.from_env(environ).max_parallel == 4
    assert Config.from_env(environ, max_parallel=9).max_parallel == 9
    assert Config.from_env(environ).with_settings(door_url=DOOR).max_parallel == 16
    assert Config.from_env({**environ, "CTA_MAX_PARALLEL": "7"}).with_settings(door_url=DOOR).max_parallel == 7


def test_dev_has_no_service_and_says_so(environ: dict[str, str]) -> None:
    assert Config.from_env(environ, profile="dev").service_url is None
    with pytest.raises(ConfigError, match="service_url"):
        Config.from_env(environ, profile="dev", backend="downloadservice")
