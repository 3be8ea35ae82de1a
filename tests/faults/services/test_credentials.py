"""What the downloadservice says of token and certificate, and where one's own folder is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import (
    CredentialError,
    CtaClient,
    PermissionDeniedError,
    StorageError,
)
from tests.faults import acts
from tests.faults.cells import Told, assert_absent, assert_nothing_secret
from tests.faults.services.scripted import HOME, LOGIN, OURS, PATH, SCOPE, Client, Service


@pytest.mark.parametrize(
    "act", [lambda client, path: client.stat("/lst"), lambda client, path: client.upload(path, OURS)]
)
def test_a_refused_token_is_told_with_the_page_for_a_new_one(
    act: Callable[[CtaClient, Path], object], service: Service, client_of_service: Client, source: Path, told: Told
) -> None:
    client = client_of_service(hub_token="another-secret-token")

    with pytest.raises(CredentialError, match=f"{service.url}/hub/token") as caught:
        act(client, source)

    assert_nothing_secret(told.text(caught.value), "another-secret-token")
    assert all(one.path.startswith(("/lst", OURS)) for one in service.asked)


@pytest.mark.parametrize("hub", ["", "https://hub.example", "https://hub.example/base"])
def test_a_redirect_to_the_login_of_a_hub_of_any_name_is_a_refused_token(
    hub: str, service: Service, client: CtaClient
) -> None:
    service.fault("PROPFIND", acts.redirect(f"{hub}{LOGIN}"))

    with pytest.raises(CredentialError, match="the hub token is refused"):
        client.stat(PATH)


def test_the_login_page_is_never_taken_for_content(service: Service, client: CtaClient, target: Path) -> None:
    client.stat(PATH)
    service.fault("GET", acts.redirect(LOGIN))
    service.fault("FETCH", acts.redirect(f"{service.url}{LOGIN}"))

    assert_absent(lambda: client.download(PATH, target), CredentialError, "", target)


def test_the_right_content_type_goes_wherever_there_is_no_body(
    service: Service, client: CtaClient, target: Path, source: Path
) -> None:
    client.download(PATH, target)
    list(client.list_dir("/"))
    client.make_dir(f"{HOME}/new")
    client.home()

    types = {one.method: one.headers.get("content-type") for one in service.asked}
    assert types.pop("PROPFIND") == "application/xml; charset=utf-8"
    assert set(types.values()) == {"application/json"}
    assert {"GET", "LIST", "MKCOL", "USER"} <= set(types)


def test_a_token_without_the_scope_is_told_the_scope(service: Service, client: CtaClient) -> None:
    service.scopes = ["access:services!service=other"]
    service.fault("PROPFIND", acts.status(403, body=b"Forbidden"))

    with pytest.raises(CredentialError, match=SCOPE):
        client.stat(PATH)


def test_a_token_for_all_services_has_the_scope(service: Service, client: CtaClient) -> None:
    service.scopes = ["access:services"]
    service.fault("PROPFIND", acts.status(403, body=b"Forbidden"))

    with pytest.raises(PermissionDeniedError):
        client.stat(PATH)


@pytest.mark.parametrize(
    "message",
    [
        b"Error while retrieving certificate: You do not have any certificate configured",
        b"Error while retrieving certificate: Your configured certificate is invalid, please reupload it.",
    ],
)
def test_a_missing_or_ended_certificate_says_how_to_give_one(
    message: bytes, service: Service, client: CtaClient
) -> None:
    service.fault("PROPFIND", acts.status(400, body=message, reason="BAD REQUEST"))

    with pytest.raises(CredentialError, match="ctadata certificate upload"):
        list(client.list_dir("/lst/night"))


def test_the_true_reason_of_a_denied_upload_is_looked_for(service: Service, client: CtaClient, source: Path) -> None:
    message = b"Error while retrieving certificate: You do not have any certificate configured"
    service.fault("PUT", acts.status(403, body=b"Access denied"))
    service.fault("PROPFIND", acts.status(400, body=message), path="/lst/users")

    with pytest.raises(CredentialError, match="ctadata certificate upload"):
        client.upload(source, OURS)


# One's own folder


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"name": 1}', b'{"a":' * 20_000])
def test_what_does_not_answer_as_a_hub_is_told(body: bytes, service: Service, client: CtaClient) -> None:
    service.fault("USER", acts.status(200, body=body))

    with pytest.raises(StorageError, match="does not answer as a JupyterHub"):
        client.home()


@pytest.mark.parametrize(
    ("name", "folders", "home"),
    [
        ("alice", {"/lst/users/alice"}, "/lst/users/alice"),
        ("Bob.Smith7@x", set(), "/lst/users/bob_smith__x"),
        ("carol01", {"/cta/users/carol01", "/lst"}, "/cta/users/carol01"),
    ],
)
def test_home_is_what_the_hub_tells_and_the_storage_has(
    name: str, folders: set[str], home: str, service: Service, client: CtaClient
) -> None:
    service.name, service.folders = name, folders

    assert client.home() == home
    assert client.home() == home
    assert len(service.requests("USER")) == 1


def test_the_setting_home_wins(service: Service, client_of_service: Client) -> None:
    assert client_of_service(home="/cta/group").home() == "/cta/group"
    assert service.asked == []
