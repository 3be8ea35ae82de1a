"""Proxies are given to the certificateservice when they are good, and what it answers is taken for what it means."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, ConfigError, CredentialError, PermissionDeniedError, StorageError, TransientError
from ctadata_providers.certificates import UploadedCertificate, status, upload_personal, upload_shared
from ctadata_providers.session import gates
from ctadata_providers.testing import FakeCta
from tests.unit.credentials.made import make_authority, make_proxy, make_user, write

DAY = 86400.0
Settings = Callable[..., Config]
Upload = Callable[..., UploadedCertificate]


@pytest.fixture(scope="module")
def running() -> Iterator[FakeCta]:
    with FakeCta(services=True) as cta:
        yield cta


@pytest.fixture
def cta(running: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCta:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))  # no other test's refused token is remembered
    monkeypatch.setattr(gates, "_gates", {})
    running.reset()
    return running


@pytest.fixture
def settings(cta: FakeCta) -> Settings:
    return lambda **given: Config.from_mapping({**cta.service_settings(), **given})


@pytest.fixture
def admin(cta: FakeCta, settings: Settings) -> Config:
    return settings(hub_token=cta.make_hub_token("admin", admin=True))


def nothing_uploaded(cta: FakeCta) -> bool:
    return not [request for request in cta.requests if request.method == "POST"]


# What is given away


def test_a_proxy_is_given_and_its_end_is_told(cta: FakeCta, settings: Settings) -> None:
    cta.set_certificate("alice", "lst", "none")
    given = upload_personal(cta.proxy_file, "lst", config=settings())
    (after,) = status(settings(), keys=["lst"]).keys

    assert (given.path, given.key, given.user, given.identity) == (
        cta.proxy_file,
        "lst",
        None,
        "/O=CTA sandbox/CN=alice",
    )
    assert given.message == "Certificate stored"
    assert given.validity is not None
    assert given.validity.endswith("GMT")
    assert 0 < given.expires_at - time.time() < 3601
    assert after.state == "works"


def test_each_key_has_its_own(cta: FakeCta, settings: Settings) -> None:
    for key in ("lst", "cta", "arc"):
        cta.set_certificate("alice", key, "expired")
    upload_personal(cta.proxy_file, config=settings())  # the default is cta

    assert [key.state for key in status(settings()).keys] == ["expired", "works", "expired"]


def test_an_administrator_gives_it_for_another_user(cta: FakeCta, admin: Config, settings: Settings) -> None:
    cta.set_certificate("bob", "lst", "none")
    given = upload_personal(cta.proxy_file, "lst", user="bob", config=admin)
    (of_bob,) = status(settings(hub_token=cta.make_hub_token("bob")), keys=["lst"]).keys

    assert given.user == "bob"
    assert of_bob.state == "works"


def test_the_shared_certificate_is_given_by_administrators(cta: FakeCta, admin: Config) -> None:
    cta.set_shared_certificate("expired")
    before = status(admin).services[-1]
    given = upload_shared(cta.proxy_file, config=admin)

    assert (before.name, before.well) == ("shared certificate", False)
    assert (given.key, given.validity, given.message) == (None, None, "Shared certificate stored")
    assert 0 < given.expires_at - time.time() < 3601
    assert status(admin).services[-1].well


def test_nobody_else_gives_it_and_the_token_is_not_taken_for_refused(cta: FakeCta, settings: Settings) -> None:
    for _ in range(2):
        with pytest.raises(PermissionDeniedError, match=r"access denied.*administrators"):
            upload_shared(cta.proxy_file, config=settings())
    upload_personal(cta.proxy_file, config=settings())

    assert [request.status for request in cta.requests if request.method == "POST"] == [401, 401, 200]


# What is not given away


def _long_lived(cta: FakeCta, folder: Path) -> Path:
    return cta.make_certificate()


def _expired(cta: FakeCta, folder: Path) -> Path:
    return cta.make_proxy(lifetime=-400)


def _too_long(cta: FakeCta, folder: Path) -> Path:
    return cta.make_proxy(lifetime=7.1 * DAY)


def _open_to_others(cta: FakeCta, folder: Path) -> Path:
    return write(folder / "open.pem", cta.proxy_file.read_bytes(), mode=0o640)


def _without_key(cta: FakeCta, folder: Path) -> Path:
    user = make_user(make_authority())
    return write(folder / "keyless.pem", make_proxy(user).pem, user.pem)


def _with_two_keys(cta: FakeCta, folder: Path) -> Path:
    user = make_user(make_authority())
    proxy = make_proxy(user)
    return write(folder / "two.pem", proxy.pem, proxy.key_pem, user.pem, user.key_pem)


def _with_an_encrypted_key(cta: FakeCta, folder: Path) -> Path:
    user = make_user(make_authority())
    proxy = make_proxy(user)
    return write(folder / "sealed.pem", proxy.pem, proxy.sealed_key("secret"), user.pem)


def _with_another_key(cta: FakeCta, folder: Path) -> Path:
    user = make_user(make_authority())
    return write(folder / "other.pem", make_proxy(user).pem, make_proxy(user).key_pem, user.pem)


def _of_another_chain(cta: FakeCta, folder: Path) -> Path:
    authority = make_authority()
    proxy = make_proxy(make_user(authority))
    return write(folder / "chain.pem", proxy.pem, proxy.key_pem, make_user(authority).pem)


BAD = {
    _long_lived: "long-lived certificate",
    _expired: "expired at",
    _too_long: "lives for 7.1 days",
    _open_to_others: "open to others",
    _without_key: "no private key",
    _with_two_keys: "several private keys",
    _with_an_encrypted_key: "is encrypted",
    _with_another_key: "does not belong",
    _of_another_chain: "is not by the certificate behind it",
}


@pytest.mark.parametrize("kind", BAD, ids=lambda kind: kind.__name__.strip("_"))
@pytest.mark.parametrize("shared", [False, True], ids=["personal", "shared"])
def test_a_bad_proxy_does_not_leave_the_machine(
    kind: Callable[[FakeCta, Path], Path], shared: bool, cta: FakeCta, admin: Config, tmp_path: Path
) -> None:
    path = kind(cta, tmp_path)
    with pytest.raises(CredentialError, match=BAD[kind]):
        _ = upload_shared(path, config=admin) if shared else upload_personal(path, config=admin)

    assert nothing_uploaded(cta)


def test_what_cannot_be_meant_is_refused_first(cta: FakeCta, settings: Settings, tmp_path: Path) -> None:
    for wrong in ({"key": "astri"}, {"user": ""}, {"path": ""}):
        arguments: dict[str, Any] = {"path": cta.proxy_file, "key": "lst", **wrong}
        with pytest.raises(ConfigError):
            upload_personal(**arguments, config=settings())
    with pytest.raises(ConfigError, match="CTACS_URL"):
        upload_personal(cta.proxy_file, config=Config(door_url=cta.door_url, service_url=None))
    with pytest.raises(CredentialError, match="cannot read"):
        upload_personal(tmp_path / "missing", config=settings())

    assert cta.requests == []


# What the service says


def test_an_address_that_is_no_certificateservice_is_told(cta: FakeCta, settings: Settings) -> None:
    for url in (cta.service_url, cta.hub_url):
        with pytest.raises(StorageError, match="CTACS_URL"):
            upload_personal(cta.proxy_file, config=settings(certificate_service_url=url))


def test_its_false_success_is_a_failure(cta: FakeCta, settings: Settings) -> None:
    cta.set_certificate("alice", "lst", "none")
    path = cta.make_proxy(lifetime=9 * DAY)
    with pytest.raises(CredentialError, match=r"has not stored.*too long.*--hours 12"):
        upload_personal(path, "lst", config=settings(), now=time.time() + 3 * DAY)  # our clock is wrong

    assert [request.status for request in cta.requests if request.method == "POST"] == [200]
    assert status(settings(), keys=["lst"]).keys[0].state == "missing"


def test_too_long_a_shared_one_is_a_failure_too(cta: FakeCta, admin: Config) -> None:
    with pytest.raises(CredentialError, match=r"400.*too long.*--hours 12"):
        upload_shared(cta.make_proxy(lifetime=9 * DAY), config=admin, now=time.time() + 3 * DAY)


def test_a_proxy_of_a_stranger_is_refused_with_its_reason(settings: Settings, tmp_path: Path) -> None:
    user = make_user(make_authority())
    proxy = make_proxy(user)
    path = write(tmp_path / "stranger.pem", proxy.pem, proxy.key_pem, user.pem)

    with pytest.raises(CredentialError, match=r"400 invalid certificate verification chain.*authority"):
        upload_personal(path, config=settings())


def test_a_token_without_the_scope_and_a_bad_one_are_told_apart(cta: FakeCta, settings: Settings) -> None:
    with pytest.raises(PermissionDeniedError, match=r"get a token with the scope .*certificateservice"):
        upload_personal(cta.proxy_file, config=settings(hub_token=cta.make_hub_token(scope=False)))
    with pytest.raises(CredentialError, match=r"refuses the hub token.*/hub/token"):
        upload_personal(cta.proxy_file, config=settings(hub_token="0123456789abcdef"))
    with pytest.raises(CredentialError, match=r"refused.*scope \S+certificateservice.*not sent for 20 s"):
        upload_personal(cta.proxy_file, config=settings(hub_token="0123456789abcdef"))
    with pytest.raises(CredentialError, match=r"no hub token.*scope \S+certificateservice"):
        upload_personal(cta.proxy_file, config=settings(hub_token=""))

    assert {request.status for request in cta.requests if request.method == "POST"} == {403, 302}


def test_a_failure_of_the_service_is_told_once(cta: FakeCta, settings: Settings) -> None:
    with (
        cta.fault("server-error", server="certificateservice"),
        pytest.raises(StorageError, match="500") as caught,
    ):
        upload_personal(cta.proxy_file, config=settings())

    assert not isinstance(caught.value, TransientError)
    assert len([request for request in cta.requests if request.method == "POST"]) == 1


def test_a_service_that_is_away_for_a_moment_is_asked_again(cta: FakeCta, settings: Settings) -> None:
    with cta.fault("unavailable", server="certificateservice", retry_after=0, times=1):
        given = upload_personal(cta.proxy_file, config=settings())

    assert given.message == "Certificate stored"


def test_the_token_goes_into_no_url_and_the_key_into_no_message(
    cta: FakeCta, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    given = upload_personal(cta.proxy_file, config=settings())
    secret = cta.proxy_file.read_text().split("PRIVATE KEY-----")[1].split()[0]

    assert not any(cta.hub_token in request.path + request.query for request in cta.requests)
    assert secret not in caplog.text + repr(given)
    assert cta.hub_token not in caplog.text + repr(given)


# How the services are


def test_all_is_well(cta: FakeCta, settings: Settings) -> None:
    found = status(settings())

    assert found.well
    assert [service.name for service in found.services] == [
        "downloadservice",
        "storage",
        "certificateservice",
        "shared certificate",
    ]
    assert all(service.well and service.said.startswith("OK") for service in found.services)
    assert [(key.key, key.state) for key in found.keys] == [("lst", "works"), ("cta", "works"), ("arc", "works")]


@pytest.mark.parametrize(
    ("stored", "state", "remedy"),
    [
        ("none", "missing", "upload --key lst"),
        ("expired", "expired", "upload --key lst"),
        ("keyless", "unusable", "its key"),
    ],
)
def test_what_is_stored_tells_by_what_the_services_answer(
    stored: Any, state: str, remedy: str, cta: FakeCta, settings: Settings
) -> None:
    cta.set_certificate("alice", "lst", stored)
    cta.set_shared_certificate("none")
    found = status(settings(), keys=["lst", "cta"])
    lst, other = found.keys

    assert (lst.state, other.state) == (state, "works")
    assert lst.remedy is not None
    assert remedy in lst.remedy
    assert found.well == (state == "missing")  # who needs no key lst can work


def test_no_certificate_at_all_is_not_well(cta: FakeCta, settings: Settings) -> None:
    cta.set_certificate("alice", "lst", "none")
    cta.set_shared_certificate("none")

    assert not status(settings(), keys=["lst"]).well


def test_an_expired_shared_certificate_is_not_the_users_fault(cta: FakeCta, settings: Settings) -> None:
    cta.set_certificate("alice", "lst", "none")
    cta.set_shared_certificate("expired")
    found = status(settings(), keys=["lst", "cta"])

    assert not found.services[-1].well
    assert "outdated" in found.services[-1].said


def test_the_health_is_told_without_a_good_token_and_is_not_shown_one(cta: FakeCta, settings: Settings) -> None:
    found = status(settings(hub_token="0123456789abcdef"))
    without = status(settings(hub_token=""))
    health = [request for request in cta.requests if request.path.endswith(("health", "status"))]

    assert all(service.well for service in found.services + without.services)
    assert {key.state for key in found.keys} == {"token refused"}
    assert all("service=downloadservice" in (key.remedy or "") for key in found.keys + without.keys)
    assert not any("door" in f"{key.said} {key.remedy}" for key in found.keys)
    assert {key.state for key in without.keys} == {"no token"}
    assert not found.well
    assert len(health) == 8
    assert not any("authorization" in request.headers for request in health)


def test_a_token_without_the_scope_says_nothing_of_certificates(cta: FakeCta, settings: Settings) -> None:
    found = status(settings(hub_token=cta.make_hub_token(scope=False)), keys=["lst"])

    assert found.keys[0].state == "token refused"


def test_a_wrong_address_leads_to_a_login_page_and_is_no_service(cta: FakeCta, settings: Settings) -> None:
    found = status(settings(certificate_service_url=cta.service_url.replace("download", "upload")), keys=["lst"])

    assert [service.well for service in found.services] == [True, True, False, False]
    assert not found.well


def test_an_address_where_there_is_no_downloadservice_says_nothing_of_certificates(
    cta: FakeCta, settings: Settings
) -> None:
    found = status(settings(service_url=cta.hub_url), keys=["lst"])  # it has a page "health", too

    assert [(service.name, service.well) for service in found.services[:2]] == [
        ("downloadservice", True),
        ("storage", False),
    ]
    assert found.keys[0].state == "unknown"
    assert "CTADS_URL" in (found.keys[0].remedy or "")
    assert not found.well


def test_where_nothing_answers_the_setting_of_the_service_is_named(settings: Settings) -> None:
    found = status(settings(service_url="https://localhost:1/services/downloadservice/"), keys=["lst"])

    assert "service_url" in found.services[0].said
    assert "service_url" in (found.keys[0].remedy or "")


def test_a_folder_that_the_storage_has_not_is_an_answer_and_one_that_it_refuses_is_not(
    cta: FakeCta, settings: Settings
) -> None:
    with cta.fault("not-found", server="storage"):
        without = status(settings(), keys=["lst"])
    with cta.fault("forbidden", server="storage"):
        refused = status(settings(), keys=["lst"])

    assert (without.keys[0].state, refused.keys[0].state) == ("works", "unusable")


def test_it_is_asked_about_keys_that_there_are(cta: FakeCta, settings: Settings) -> None:
    with pytest.raises(ConfigError, match="lst, cta, arc"):
        status(settings(), keys=["lst", "astri"])  # type: ignore[list-item]  # what a user may write

    assert cta.requests == []


def test_a_storage_that_fails_is_not_the_certificate(cta: FakeCta, settings: Settings) -> None:
    with cta.fault("unavailable", server="storage"):
        found = status(settings(), keys=["lst"])

    assert found.keys[0].state == "unknown"
    assert not found.services[1].well
