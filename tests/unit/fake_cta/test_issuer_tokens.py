"""Clients, what the provider says of itself, and the tokens that it gives out, as door and others read them."""

import base64
import time
from typing import Any

import jwt
import pytest
from authlib.integrations.requests_client import OAuth2Session

from ctadata_providers import CtaClient
from ctadata_providers.errors import ConfigError, PermissionDeniedError
from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.oidc import Oidc, basic

ENDPOINTS = ("authorization", "token", "device_authorization", "revocation", "userinfo")


def metadata(oidc: Oidc) -> dict[str, Any]:
    found: dict[str, Any] = oidc.get("/.well-known/openid-configuration").json()
    return found


def test_the_discovery_document_names_keycloaks_addresses(oidc: Oidc) -> None:
    found = metadata(oidc)
    base = f"{oidc.cta.issuer.url}/protocol/openid-connect"

    assert found["issuer"] == oidc.cta.issuer.url
    assert oidc.cta.issuer.url.endswith("/realms/master")
    assert found["token_endpoint"] == f"{base}/token"
    assert found["device_authorization_endpoint"] == f"{base}/auth/device"
    assert found["revocation_endpoint"] == f"{base}/revoke"
    assert found["jwks_uri"] == f"{base}/certs"
    assert "urn:ietf:params:oauth:grant-type:device_code" in found["grant_types_supported"]


def test_the_discovery_document_can_say_something_else(oidc: Oidc) -> None:
    changes = {"issuer": "https://other.invalid", "revocation_endpoint": None}
    oidc.cta.issuer.configure(metadata=changes)
    found = metadata(oidc)

    assert found["issuer"] == "https://other.invalid"
    assert "revocation_endpoint" not in found


def test_an_access_token_is_verified_by_others_with_the_published_key(oidc: Oidc) -> None:
    token = oidc.cta.issuer.tokens()["access_token"]
    keys = jwt.PyJWKSet.from_dict(oidc.get("/protocol/openid-connect/certs").json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, ["RS256"], audience="https://wlcg.cern.ch/jwt/v1/any", issuer=oidc.cta.issuer.url)

    assert claims["exp"] - claims["iat"] == 300
    assert claims["preferred_username"] == "alice"
    assert claims["sub"] != "alice"
    assert claims["azp"] == "ctadata-public"
    assert claims["scope"].split()[:2] == ["openid", "offline_access"]


def test_an_identity_token_comes_with_openid_only_and_is_for_the_client(oidc: Oidc) -> None:
    tokens = oidc.cta.issuer.tokens(scope="openid")
    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})

    assert (claims["aud"], claims["typ"]) == ("ctadata-public", "ID")
    assert "id_token" not in oidc.cta.issuer.tokens(scope="offline_access")


def test_a_subject_stays_the_same_and_is_another_for_another_user(oidc: Oidc) -> None:
    subjects = [
        jwt.decode(oidc.cta.issuer.tokens(user)["access_token"], options={"verify_signature": False})["sub"]
        for user in ("alice", "alice", "bob")
    ]

    assert subjects[0] == subjects[1] != subjects[2]


def test_rights_at_the_door_are_those_of_the_scope(oidc: Oidc) -> None:
    oidc.cta.put("/lst/x", b"1")
    reader = oidc.cta.issuer.tokens(scope="storage.read:/lst")["access_token"]
    everything = oidc.cta.issuer.tokens()["access_token"]

    assert oidc.status_at_door(reader, "DELETE", "/lst/x") == 403
    assert oidc.status_at_door(everything, "DELETE", "/lst/x") == 204


def test_a_token_for_another_audience_is_refused_and_one_for_this_door_is_not(oidc: Oidc) -> None:
    oidc.cta.issuer.configure(approve="alice")
    tokens = [
        oidc.poll(oidc.begin(audience=audience)).json["access_token"]
        for audience in ("https://other.invalid", oidc.cta.door_url)
    ]

    assert [oidc.status_at_door(token) for token in tokens] == [401, 200]


def test_a_changed_token_is_refused(oidc: Oidc) -> None:
    head, claims, signature = oidc.cta.issuer.tokens()["access_token"].split(".")
    other = oidc.cta.issuer.tokens("bob")["access_token"].split(".")[1]
    none = jwt.encode(jwt.decode(f"{head}.{claims}.{signature}", options={"verify_signature": False}), None, "none")

    assert oidc.status_at_door(f"{head}.{other}.{signature}") == 401
    assert oidc.status_at_door(f"{head}.{claims}.") == 401
    assert oidc.status_at_door(none) == 401
    oidc.cta.lift_bans()


@pytest.mark.parametrize("part", [b"no JSON", b"[1]", b'"RS256"', b"\xff\xfe", b"[" * 5000, b"\xc3\xa9"])
def test_a_mutilated_token_is_refused_and_no_fault_of_door_or_provider(oidc: Oidc, part: bytes) -> None:
    head, claims, signature = oidc.cta.issuer.tokens()["access_token"].split(".")
    piece = base64.urlsafe_b64encode(part).decode() if len(part) != 2 else part.decode("latin-1")
    for token in (f"{piece}.{claims}.{signature}", f"{head}.{piece}.{signature}", f"{head}.{claims}.{piece}"):
        user = oidc.get("/protocol/openid-connect/userinfo", {"Authorization": f"Bearer {token}"})

        assert (user.status_code, user.json()["error"]) == (401, "invalid_token")
        assert oidc.status_at_door(token) == 401
        oidc.cta.lift_bans()


def test_a_token_ends_by_the_clock_of_the_data_centre(oidc: Oidc) -> None:
    oidc.cta.issuer.configure(token_lifetime=10)
    token = oidc.cta.issuer.tokens()["access_token"]
    statuses = []
    for oidc.cta.clock_ahead in (0, 8, 10):
        statuses.append(oidc.status_at_door(token))

    assert statuses == [200, 200, 401]


def test_lives_can_be_parts_of_a_second(oidc: Oidc) -> None:
    oidc.cta.issuer.configure(token_lifetime=0.5)
    tokens = oidc.cta.issuer.tokens()
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})

    assert tokens["expires_in"] == 0.5
    assert 0 < claims["exp"] - time.time() <= 0.5


def test_a_token_may_be_no_jwt_at_all(oidc: Oidc) -> None:
    oidc.cta.issuer.configure(opaque=True, token_lifetime=10)
    token = oidc.cta.issuer.tokens()["access_token"]
    before = oidc.status_at_door(token)
    oidc.cta.clock_ahead = 10

    assert "." not in token
    assert before == 200
    assert oidc.status_at_door(token) == 401


def test_userinfo_refuses_a_token_whose_login_is_over_which_the_door_still_takes(oidc: Oidc) -> None:
    tokens = oidc.cta.issuer.tokens()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    before = oidc.get("/protocol/openid-connect/userinfo", bearer)
    oidc.ask("revoke", token=tokens["refresh_token"])
    after = oidc.get("/protocol/openid-connect/userinfo", bearer)

    assert before.json()["preferred_username"] == "alice"
    assert (after.status_code, after.json()["error"]) == (401, "invalid_token")
    assert oidc.status_at_door(tokens["access_token"]) == 200


def test_an_access_token_can_be_revoked_at_the_provider(oidc: Oidc) -> None:
    tokens = oidc.cta.issuer.tokens()
    oidc.ask("revoke", token=tokens["access_token"])
    user = oidc.get("/protocol/openid-connect/userinfo", {"Authorization": f"Bearer {tokens['access_token']}"})

    assert user.status_code == 401
    assert oidc.refresh(tokens["refresh_token"]).status == 200


def test_a_robot_gets_a_token_for_its_credentials_and_no_refresh_token(fake_cta: FakeCta) -> None:
    with Oidc(fake_cta, "robot") as oidc:
        answer = oidc.ask("token", grant_type="client_credentials")

        assert answer.status == 200
        assert "refresh_token" not in answer.json
        assert oidc.status_at_door(answer.json["access_token"]) == 200


def test_a_secret_is_taken_in_the_header_and_in_the_form(fake_cta: FakeCta) -> None:
    robot = fake_cta.issuer.client("robot")
    form = {"grant_type": "client_credentials"}
    with Oidc(fake_cta, "robot") as oidc:
        path = "/protocol/openid-connect/token"
        in_header = oidc.post(path, form, basic(robot.client_id, robot.secret))
        in_form = oidc.ask("token", **form)

    assert (in_header.status_code, in_form.status) == (200, 200)


@pytest.mark.parametrize(
    ("method", "statuses"), [("client_secret_basic", [200, 401]), ("client_secret_post", [401, 200])]
)
def test_what_the_metadata_say_of_secrets_is_enforced(fake_cta: FakeCta, method: str, statuses: list[int]) -> None:
    fake_cta.issuer.configure(metadata={"token_endpoint_auth_methods_supported": [method]})
    robot = fake_cta.issuer.client("robot")
    form = {"grant_type": "client_credentials"}
    with Oidc(fake_cta, "robot") as oidc:
        in_header = oidc.post("/protocol/openid-connect/token", form, basic(robot.client_id, robot.secret))
        in_form = oidc.ask("token", **form)

    assert [in_header.status_code, in_form.status] == statuses


def test_a_wrong_secret_none_and_an_unknown_client_are_401(fake_cta: FakeCta) -> None:
    robot = fake_cta.issuer.client("robot").client_id
    cases = [
        {"client_id": robot, "client_secret": "wrong"},
        {"client_id": robot},
        {"client_id": "nobody", "client_secret": "x"},
        {},
    ]
    with Oidc(fake_cta) as oidc:
        path = "/protocol/openid-connect/token"
        answers = [oidc.post(path, {"grant_type": "client_credentials", **case}) for case in cases]
        for odd in ("Basic ???", "Basic \xe9"):
            answers.append(oidc.post(path, {"grant_type": "client_credentials"}, {"Authorization": odd}))

    assert [answer.status_code for answer in answers] == [401] * 6
    assert [answer.json()["error"] for answer in answers] == [
        *["unauthorized_client"] * 2,
        *["invalid_client"] * 4,
    ]


def test_a_client_gets_only_what_it_may(fake_cta: FakeCta) -> None:
    with Oidc(fake_cta) as oidc, Oidc(fake_cta, "robot") as robot:
        answers = [
            oidc.ask("token", grant_type="client_credentials"),
            robot.ask("auth/device"),
            robot.refresh("x"),
            oidc.ask("token", grant_type="password"),
            oidc.ask("token"),
        ]

    assert [answer.error for answer in answers] == [
        *[(400, "unauthorized_client")] * 3,
        (400, "unsupported_grant_type"),
        (400, "invalid_request"),
    ]


def test_a_field_twice_or_json_instead_of_a_form_is_refused(oidc: Oidc) -> None:
    url = f"{oidc.cta.issuer.url}/protocol/openid-connect/token"
    twice = oidc.session.post(url, data=[("grant_type", "a"), ("grant_type", "b")], timeout=10)
    as_json = oidc.session.post(url, json={"grant_type": "refresh_token"}, timeout=10)

    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")
    assert as_json.status_code == 415


def test_there_is_nothing_at_other_addresses(oidc: Oidc) -> None:
    assert oidc.get("/protocol/openid-connect/nothing").status_code == 404
    assert oidc.get("/protocol/openid-connect/token").status_code == 405
    assert oidc.post("/.well-known/openid-configuration", {}).status_code == 405


def test_answers_with_tokens_are_not_stored_on_the_way(oidc: Oidc) -> None:
    answer = oidc.post(
        "/protocol/openid-connect/token",
        {
            "client_id": "ctadata-public",
            "grant_type": "refresh_token",
            "refresh_token": oidc.cta.issuer.tokens()["refresh_token"],
        },
    )

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].startswith("application/json")


def test_authlib_understands_it(fake_cta: FakeCta) -> None:
    robot = fake_cta.issuer.client("robot")
    url = f"{fake_cta.issuer.url}/protocol/openid-connect/token"
    with OAuth2Session(robot.client_id, robot.secret, token_endpoint=url) as session:
        session.trust_env = False
        session.verify = str(fake_cta.ca_file)
        token = session.fetch_token(url, grant_type="client_credentials")

    assert token["token_type"] == "Bearer"
    assert not token.is_expired()


def test_the_settings_are_those_of_each_kind_of_client(fake_cta: FakeCta) -> None:
    door = {"door_url": fake_cta.door_url, "ca_path": str(fake_cta.ca_file), "issuer": fake_cta.issuer.url}
    secrets = {name: fake_cta.issuer.client(name).secret for name in ("confidential", "robot")}

    assert fake_cta.oidc_settings() == {**door, "client_id": "ctadata-public", "ambient_credentials": True}
    assert fake_cta.oidc_settings("confidential") == {
        **door,
        "client_id": "ctadata-confidential",
        "client_secret": secrets["confidential"],
        "ambient_credentials": True,
    }
    assert fake_cta.oidc_settings("robot") == {
        **door,
        "client_id": "ctadata-robot",
        "client_secret": secrets["robot"],
        "grant_type": "client_credentials",
    }
    assert fake_cta.oidc_environ("robot") == {
        "CTA_DOOR_URL": fake_cta.door_url,
        "CTA_CA_PATH": str(fake_cta.ca_file),
        "CTA_ISSUER": fake_cta.issuer.url,
        "CTA_CLIENT_ID": "ctadata-robot",
        "CTA_CLIENT_SECRET": secrets["robot"],
        "CTA_GRANT_TYPE": "client_credentials",
    }
    with pytest.raises(ConfigError):
        fake_cta.oidc_settings("nobody")


def test_another_client_can_be_added(fake_cta: FakeCta) -> None:
    fake_cta.issuer.add_client("dcache-dev", secret="s3cret-of-dev")
    with Oidc(fake_cta, "dcache-dev") as oidc:
        fake_cta.issuer.configure(approve="alice")
        answer = oidc.poll(oidc.begin())

    assert answer.status == 200
    assert "s3cret" not in repr(fake_cta.issuer.client("dcache-dev"))
    assert fake_cta.oidc_settings("dcache-dev")["client_secret"] == "s3cret-of-dev"


def test_a_client_of_the_door_works_with_such_a_token(fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/x", b"hello")
    token = fake_cta.issuer.tokens(scope="storage.read:/")["access_token"]
    with CtaClient(**fake_cta.settings() | {"token": token}) as client:
        assert client.stat("cta://lst/x").size == 5
        with pytest.raises(PermissionDeniedError):
            client.remove("cta://lst/x")
