import json
from pathlib import Path

import pytest
import requests

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.services.clients import Crowd, Service

DAY = 24 * 3600.0
KEY_MESSAGES = {
    "none": "You do not have any certificate configured",
    "expired": "Your configured certificate is invalid, please reupload it.",
}


def upload(service: Service, pem: str, key: object = "lst", *, path: str = "certificate") -> requests.Response:
    body = json.dumps({"certificate": pem, "certificate_key": key, "user": None})
    return service.certificates("POST", path, {"Content-Type": "application/json"}, data=body)


def without_key(pem: str) -> str:
    begin, rest = pem.split("-----BEGIN PRIVATE KEY-----")
    return begin + rest.split("-----END PRIVATE KEY-----\n")[1]


@pytest.mark.parametrize("state", ["none", "expired"])
@pytest.mark.parametrize(("path", "key"), [("lst/DL3", "lst"), ("cta", "cta"), ("users/x", "arc"), ("", "arc")])
def test_the_first_name_of_a_path_says_which_certificate_is_needed(
    service: Service, cta: FakeCta, state: str, path: str, key: str
) -> None:
    for other in {"lst", "cta", "arc"} - {key}:
        cta.set_certificate("alice", other, state)
    cta.make_dir(f"/{path}" if path else "/lst")
    address = f"list/{path}" if path else "list"
    good = service("GET", address).status_code
    cta.set_certificate("alice", key, state)
    bad = [service("GET", address), service("PROPFIND", address.replace("list", "webdav"))]

    assert good == 200
    for answer in bad:
        assert answer.status_code == 400
        assert answer.text == f"Error while retrieving certificate: {KEY_MESSAGES[state]}"


def test_a_fetch_without_a_certificate_is_400_too_and_others_are_not_concerned(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/x", b"1")
    cta.set_certificate("alice", "lst", "none")

    assert service("GET", "fetch/lst/x").status_code == 400
    assert service.of(cta.make_hub_token("bob"))("GET", "fetch/lst/x").content == b"1"


def test_a_good_proxy_is_stored_and_its_validity_told(service: Service, cta: FakeCta) -> None:
    cta.set_certificate("alice", "lst", "none")
    answer = upload(service, cta.make_proxy(lifetime=DAY).read_text())

    assert answer.status_code == 200
    assert answer.json()["message"] == "Certificate stored"
    assert answer.json()["validity"].endswith(" GMT")
    assert service("GET", "list/lst").status_code == 200


def test_more_than_seven_days_are_200_with_a_lie_and_nothing_is_stored(service: Service, cta: FakeCta) -> None:
    cta.set_certificate("alice", "lst", "none")
    answer = upload(service, cta.make_certificate(lifetime=9 * DAY).read_text())

    text, status = answer.json()["validity"]
    assert (answer.status_code, answer.json()["message"], status) == (200, "Certificate stored", 400)
    assert "max 7 day" in text
    assert service("GET", "list/lst").status_code == 400


def test_an_uploaded_proxy_expires(service: Service, cta: FakeCta) -> None:
    upload(service, cta.make_proxy(lifetime=600).read_text())
    before = service("GET", "list/lst").status_code
    cta.clock_ahead = 700

    assert (before, service("GET", "list/lst").status_code) == (200, 400)


def test_an_expired_one_a_broken_chain_and_no_certificate_are_400(service: Service, cta: FakeCta) -> None:
    with FakeCta(host="127.0.0.1"):
        pass
    chain = cta.make_proxy().read_text()
    broken = chain[chain.index("-----END CERTIFICATE-----") :]
    answers = [upload(service, cta.make_proxy(lifetime=-60).read_text()), upload(service, ""), upload(service, "x")]
    answers.append(upload(service, chain.split("-----BEGIN PRIVATE KEY-----")[0]))
    answers.append(upload(service, broken.replace("MII", "AAA")))

    assert [answer.status_code for answer in answers] == [400] * 5
    assert answers[0].text == "invalid certificate verification chain"
    assert answers[1].text == "no valid certificate provided"


@pytest.mark.parametrize("key", ["magic", None, "LST"])
def test_an_unknown_or_missing_key_is_500(service: Service, cta: FakeCta, key: str | None) -> None:
    assert upload(service, cta.make_proxy().read_text(), key).status_code == 500


@pytest.mark.parametrize("key", ["lst", "cta", "arc"])
def test_every_key_is_good(service: Service, cta: FakeCta, key: str) -> None:
    assert upload(service, cta.make_proxy().read_text(), key).status_code == 200


def test_a_proxy_without_its_key_is_taken_and_hurts_later(service: Service, cta: FakeCta, crowd: Crowd) -> None:
    cta.put("/lst/x", b"12345")
    answer = upload(service, without_key(cta.make_proxy().read_text()))
    listed, found = service("GET", "list/lst"), service("PROPFIND", "webdav/lst")

    assert answer.json()["message"] == "Certificate stored"
    assert isinstance(answer.json()["validity"], str)
    assert (listed.status_code, found.status_code) == (500, 500)
    with pytest.raises(requests.ReadTimeout):
        crowd.ask(cta, "GET", "fetch/lst/x", timeout=0.3).result(10)


def test_a_certificate_for_another_user(service: Service, cta: FakeCta) -> None:
    cta.set_certificate("bob", "cta", "none")
    body = json.dumps({"certificate": cta.make_proxy("bob").read_text(), "certificate_key": "cta", "user": "bob"})
    admin = service.of(cta.make_hub_token("admin", admin=True))
    answer = admin.certificates("POST", "certificate", {"Content-Type": "application/json"}, data=body)

    assert answer.status_code == 200
    assert service.of(cta.make_hub_token("bob"))("GET", "list/cta").status_code == 200


def test_what_is_no_json_is_refused(service: Service) -> None:
    assert service.certificates("POST", "certificate", data=b"{}").status_code == 415
    json_type = {"Content-Type": "application/json"}
    assert service.certificates("POST", "certificate", json_type, data=b"{").status_code == 400
    assert service.certificates("POST", "certificate", json_type, data=b"[]").status_code == 500


def test_the_shared_certificate_is_for_administrators_and_serves_who_may_use_it(service: Service, cta: FakeCta) -> None:
    cta.set_shared_certificate("none")
    admin = service.of(cta.make_hub_token("admin", admin=True))
    pem, too_long = cta.make_proxy("robot").read_text(), cta.make_certificate("robot", lifetime=9 * DAY).read_text()
    refused = upload(service, pem, path="main-certificate")
    long = upload(admin, too_long, path="main-certificate")
    for user in ("admin", "bob"):
        cta.set_certificate(user, "lst", "none")
    before = admin("GET", "list/lst").status_code
    stored = upload(admin, pem, path="main-certificate")
    after = [admin("GET", "list/lst").status_code, service.of(cta.make_hub_token("bob"))("GET", "list/lst").status_code]

    assert (refused.status_code, refused.text) == (401, "access denied")
    assert long.status_code == 400
    assert (stored.status_code, stored.json()) == (
        200,
        {"certificateUploaded": True, "message": "Shared certificate stored"},
    )
    assert (before, after) == (400, [200, 400])


def test_status_pages_are_200_or_500_text_without_a_token(service: Service, cta: FakeCta) -> None:
    asker = service.of(None)
    good = [asker("GET", "health"), asker.certificates("GET", "health"), asker("GET", "storage-status")]
    good.append(asker.certificates("GET", "shared-certificate-status"))
    cta.set_shared_certificate("expired")
    outdated = asker.certificates("GET", "shared-certificate-status")
    cta.set_shared_certificate("valid")
    cta.faults.add("unavailable", server="storage")
    down = asker("GET", "storage-status")

    assert [answer.status_code for answer in good] == [200] * 4
    assert all(answer.text.startswith("OK - ") for answer in good)
    for answer in (outdated, down):
        assert answer.status_code == 500
        assert answer.text.startswith("Unhealthy! - ")


def test_a_certificateservice_in_trouble_is_told_by_the_downloadservice(service: Service, cta: FakeCta) -> None:
    with cta.fault("unavailable", server="certificateservice"):
        unavailable = service("GET", "list/lst")
    with cta.fault("reset", server="certificateservice"):
        reset = service("GET", "list/lst")

    assert unavailable.status_code == 400
    assert unavailable.text.startswith("Error while retrieving certificate: ")
    assert reset.status_code == 500


def test_a_state_that_is_none_is_refused(cta: FakeCta) -> None:
    with pytest.raises(ConfigError, match="unknown state"):
        cta.set_certificate("alice", "lst", "old")
    with pytest.raises(ConfigError, match="unknown certificate key"):
        cta.set_certificate("alice", "magic", "none")
    with pytest.raises(ConfigError, match="unknown state"):
        cta.set_shared_certificate("old")


def test_a_certificate_is_nothing_that_others_may_read(service: Service) -> None:
    assert service.certificates("GET", "certificate?user=bob&certificate_key=lst").status_code == 403


def test_users_see_what_they_have(service: Service, cta: FakeCta) -> None:
    cta.set_certificate("alice", "lst", "none")
    cta.set_certificate("alice", "arc", "expired")
    shown = service.certificates("GET", "").text

    for line in ("<td>lst</td><td>no certificate<", "<td>cta</td><td>valid<", "<td>arc</td><td>outdated<"):
        assert line in shown


def test_the_ca_of_another_data_centre_is_no_good(service: Service, tmp_path: Path) -> None:
    from ctadata_providers.testing.pki import new_authority, new_pki

    foreign = new_pki(new_authority()).issue_proxy("alice", 3600).decode()

    assert upload(service, foreign).status_code == 400
