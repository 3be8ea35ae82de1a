"""Where the hub token goes, and where it never does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers import Config, CredentialError, CtaClient
from ctadata_providers.backends.services.hub import hub_user
from ctadata_providers.config import BUILT_IN_PROFILES
from ctadata_providers.credentials.hub import hub_credential, may_have
from tests.faults import acts
from tests.faults.cells import Told, assert_nothing_secret
from tests.faults.services.scripted import HOME, TOKEN, Service

DOOR_TOKEN = "door-token-of-test"
PATH = f"{HOME}/events.fits"


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(files={PATH: b"events"}, ranges=True) as started:
        yield started


@pytest.fixture
def other() -> Iterator[Service]:
    with Service(files={PATH: b"of another hub"}) as started:
        yield started


def settings(service: Service, ca: Path) -> dict[str, str]:
    return {"CTADS_URL": service.service_url, "JUPYTERHUB_API_TOKEN": TOKEN, "CTA_CA_PATH": str(ca)}


def shown(service: Service) -> set[str | None]:
    return {one.headers.get("authorization") for one in service.asked}


def test_ctads_url_and_the_hubs_token_are_enough(service: Service, ca: Path) -> None:
    config = Config.from_env({**settings(service, ca), "BEARER_TOKEN": DOOR_TOKEN})

    with CtaClient(config) as client:
        assert client.stat(PATH).size == 6
        assert client.home() == HOME
    assert shown(service) == {f"Bearer {TOKEN}"}


def test_an_ambient_hub_token_is_never_sent_to_another_hubs_service(
    service: Service, ca: Path, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    monkeypatch.setitem(BUILT_IN_PROFILES["prod"], "service_url", service.service_url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", TOKEN)
    monkeypatch.setenv("JUPYTERHUB_API_URL", "https://hub.elsewhere.example/hub/api")
    config = Config.from_env(backend="downloadservice", ca_path=ca)
    acts_of_users = (lambda client: client.stat(PATH), lambda client: client.home(), lambda client: hub_user(config))

    with CtaClient(config) as client:
        errors = []
        for act in acts_of_users:
            with pytest.raises(CredentialError, match="of another hub") as caught:
                act(client)
            errors.append(caught.value)

    assert service.asked == []
    assert all("CTADS_URL" in str(error) for error in errors)
    assert_nothing_secret(told.text(*errors), TOKEN)


@pytest.mark.parametrize("how", ["CTADS_URL", "explicit", "its own hub"])
def test_an_ambient_hub_token_goes_where_the_user_says_or_to_its_own_hub(
    how: str, service: Service, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUILT_IN_PROFILES["prod"], "service_url", service.service_url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", TOKEN)
    explicit = {"service_url": service.service_url} if how == "explicit" else {}
    if how == "CTADS_URL":
        monkeypatch.setenv("CTADS_URL", service.service_url)
    if how == "its own hub":
        monkeypatch.setenv("JUPYTERHUB_PUBLIC_HUB_URL", f"{service.url}/hub/")

    with CtaClient(Config.from_env(backend="downloadservice", ca_path=ca, **explicit)) as client:
        assert client.stat(PATH).size == 6


def test_a_hub_token_goes_to_the_certificateservice_and_the_hub_of_the_same_origin(service: Service) -> None:
    environ = {"CTADS_URL": service.service_url, "JUPYTERHUB_API_TOKEN": TOKEN}
    config = Config.from_env(environ)

    assert may_have(config, f"{service.url}/hub/api/user")
    assert may_have(config, config.certificate_service or "")
    assert not may_have(config, "https://elsewhere.example/services/certificateservice/")


def test_a_redirect_never_carries_the_hub_token(service: Service, other: Service, ca: Path) -> None:
    for method in ("PROPFIND", "GET", "PUT", "FETCH", "LIST", "UPLOAD", "MKCOL"):
        service.fault(method, acts.redirect(f"{other.service_url}x"))

    with CtaClient(Config.from_env(settings(service, ca), retries=0)) as client:
        for act in (client.stat, lambda path: list(client.list_dir("/")), client.make_dir):
            with pytest.raises(OSError):
                act(PATH)

    assert other.asked == []


def test_a_door_never_sees_the_hub_token_nor_the_service_that_of_the_door(service: Service, ca: Path) -> None:
    environ = {**settings(service, ca), "BEARER_TOKEN": DOOR_TOKEN, "CTA_BACKEND": "webdav"}
    with CtaClient(Config.from_env(environ, door_url=service.url, retries=0)) as door, pytest.raises(OSError):
        door.stat("/lst")

    assert TOKEN not in str(shown(service))


def test_a_hub_token_is_not_sent_unencrypted_to_another_machine() -> None:
    config = Config.from_mapping({"service_url": "http://hub.example/services/downloadservice/", "hub_token": TOKEN})

    with pytest.raises(CredentialError, match="unencrypted"):
        hub_credential(config, config.service_url or "")


def test_without_a_hub_token_the_page_for_one_is_named(service: Service, ca: Path) -> None:
    config = Config.from_env({"CTADS_URL": service.service_url, "CTA_CA_PATH": str(ca), "BEARER_TOKEN": DOOR_TOKEN})

    with CtaClient(config) as client, pytest.raises(CredentialError, match=f"{service.url}/hub/token"):
        client.stat(PATH)
    assert service.asked == []
