import base64
import json

import pytest

from ctadata_providers.testing import FakeCta
from ctadata_providers.testing.tokens import ISSUER, Activity, LoginError, TokenIssuer
from tests.unit.fake_cta.conftest import Asker, asking


def test_no_token_is_401_without_a_bearer_challenge(ask: Asker) -> None:
    answer = ask("GET", "/", token=None)
    suppressed = ask("GET", "/", {"Suppress-WWW-Authenticate": "1"}, token=None)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert "WWW-Authenticate" not in suppressed.headers


def test_an_expired_token_is_401_with_the_reason_in_the_status_line(fake_cta: FakeCta, ask: Asker) -> None:
    answer = ask("GET", "/", token=fake_cta.make_token(lifetime=-1))

    assert (answer.status_code, answer.reason) == (401, "Login failed: token has expired")


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "e30.e30.", "é", "..", "e30.W10.x"])
def test_what_is_no_token_is_401(ask: Asker, token: str) -> None:
    answer = ask("GET", "/", {"Authorization": f"Bearer {token}".encode().decode("latin-1")}, token=None)

    assert answer.status_code == 401


def test_a_token_without_its_scheme_is_401_and_not_shown(ask: Asker) -> None:
    answer = ask("GET", "/", {"Authorization": "eyJsecret.token"}, token=None)

    assert answer.status_code == 401
    assert "secret" not in f"{answer.reason} {answer.headers} {answer.text}"


@pytest.mark.parametrize("sent", ["YTpi", "???", "\xe9", "/w=="])
def test_basic_is_401(ask: Asker, sent: str) -> None:
    assert ask("GET", "/", {"Authorization": f"Basic {sent}"}, token=None).status_code == 401


def test_a_token_of_another_data_centre_is_401(ask: Asker) -> None:
    answer = ask("GET", "/", token=TokenIssuer().issue())

    assert answer.reason == "Login failed: token signature is invalid"


def test_a_token_in_the_query_is_accepted_and_not_logged(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"1")
    answer = ask("GET", "/x", token=None, query=f"?authz=Bearer%20{fake_cta.token}")
    logged = fake_cta.requests[0]

    assert answer.status_code == 302
    assert "authz=sha256:" in logged.query
    assert fake_cta.token not in repr(logged)


@pytest.mark.parametrize(
    ("scope", "request_line", "status"),
    [
        ("storage.read:/", ("GET", "/lst/x"), 302),
        ("storage.read:/lst", ("GET", "/lst/x"), 302),
        ("storage.read:/ls", ("GET", "/lst/x"), 403),
        ("storage.read:/", ("PUT", "/lst/new"), 403),
        ("storage.read:/", ("DELETE", "/lst/x"), 403),
        ("storage.read:/", ("MKCOL", "/lst/d"), 403),
        ("storage.stage:/", ("GET", "/lst/x"), 302),
        ("storage.poll:/", ("HEAD", "/lst/x"), 200),
        ("storage.poll:/", ("GET", "/lst/x"), 403),
        ("storage.create:/", ("PUT", "/lst/new"), 201),
        ("storage.create:/", ("PUT", "/lst/a/b/new"), 201),
        ("storage.create:/", ("PUT", "/lst/x"), 403),
        ("storage.create:/", ("DELETE", "/lst/x"), 403),
        ("storage.create:/", ("MKCOL", "/lst/d"), 201),
        ("storage.create:/", ("GET", "/lst/x"), 403),
        ("storage.create:/lst/mine", ("PUT", "/lst/new"), 403),
        ("storage.create:/lst/mine", ("PUT", "/lst/mine/new"), 201),
        ("storage.modify:/", ("PUT", "/lst/x"), 201),
        ("storage.modify:/", ("DELETE", "/lst/x"), 204),
        ("storage.modify:/", ("HEAD", "/lst/x"), 200),
        ("storage.modify:/", ("GET", "/lst/x"), 403),
        ("openid profile", ("GET", "/lst/x"), 403),
        ("storage.read", ("GET", "/lst/x"), 403),
        ("", ("GET", "/lst/x"), 403),
    ],
)
def test_scopes_permit_what_they_say(
    fake_cta: FakeCta, ask: Asker, scope: str, request_line: tuple[str, str], status: int
) -> None:
    fake_cta.put("/lst/x", b"kept")
    method, path = request_line
    answer = ask(method, path, token=fake_cta.make_token(scope=scope), data=b"new" if method == "PUT" else None)

    assert answer.status_code == status
    if status == 403:
        assert fake_cta.get("/lst/x") == b"kept"


@pytest.mark.parametrize(
    ("scope", "headers", "status"),
    [
        ("storage.create:/", {}, 201),
        ("storage.create:/", {"Destination": "/y", "Overwrite": "T"}, 403),
        ("storage.modify:/", {"Destination": "/y", "Overwrite": "T"}, 204),
        ("storage.read:/", {}, 403),
        ("storage.modify:/other", {}, 403),
    ],
)
def test_move_needs_manage_and_for_a_target_delete(
    fake_cta: FakeCta, ask: Asker, scope: str, headers: dict[str, str], status: int
) -> None:
    fake_cta.put("/x", b"x")
    fake_cta.put("/y", b"y")
    answer = ask("MOVE", "/x", {"Destination": "/z", **headers}, token=fake_cta.make_token(scope=scope))

    assert answer.status_code == status


def test_folders_above_a_permitted_path_can_be_looked_at(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/lst/mine/x", b"")
    fake_cta.put("/lst/other/y", b"")
    token = fake_cta.make_token(scope="storage.read:/lst/mine")
    listing = ask("PROPFIND", "/lst", {"Depth": "infinity"}, token=token)

    assert listing.status_code == 207
    assert "/lst/mine/x" in listing.text
    assert "/lst/other/y" not in listing.text


def test_without_the_right_to_list_a_folder_seems_empty(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/lst/x", b"")
    token = fake_cta.make_token(scope="storage.create:/")
    listing = ask("PROPFIND", "/lst", {"Depth": "1"}, token=token)
    page = ask("GET", "/lst/", token=token)

    assert listing.status_code == 207
    assert listing.text.count("<D:response>") == 1
    assert page.status_code == 403


def test_anonymous_reading_is_an_option_and_writing_is_then_401() -> None:
    with FakeCta(anonymous=True) as cta, asking(cta) as ask:
        cta.put("/x", b"1")
        statuses = [ask(method, "/x", token=None).status_code for method in ("GET", "PROPFIND", "PUT", "DELETE")]
        expired = ask("GET", "/x", token=cta.make_token(lifetime=-1))

    assert statuses == [302, 207, 401, 401]
    assert expired.status_code == 401


def test_a_token_is_a_jwt_with_the_claims_of_the_wlcg_profile(fake_cta: FakeCta) -> None:
    token = fake_cta.make_token(lifetime=60, scope="storage.read:/lst", subject="bob")
    head, body, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))

    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"typ": "JWT", "alg": "HS256"}
    assert claims["iss"] == ISSUER
    assert (claims["sub"], claims["scope"], claims["wlcg.ver"]) == ("bob", "storage.read:/lst", "1.0")
    assert 60 <= claims["exp"] - claims["iat"] < 70


def test_a_token_is_valid_from_its_issue_to_its_expiry() -> None:
    now = [1000.0]
    issuer = TokenIssuer(clock=lambda: now[0])
    token = issuer.issue(lifetime=10)
    login = issuer.login(token)
    now[0] = 1010.0

    assert login.may(Activity.DELETE, "/lst")
    with pytest.raises(LoginError, match="expired"):
        issuer.login(token)
    now[0] = 900.0
    with pytest.raises(LoginError, match="not yet"):
        issuer.login(token)


def test_a_token_for_others_is_refused() -> None:
    issuer = TokenIssuer()

    with pytest.raises(LoginError, match="audience"):
        issuer.login(issuer.issue(audience="https://other.invalid"))
    with pytest.raises(LoginError, match="issuer"):
        issuer.login(issuer.issue(issuer="https://other.invalid/"))


def test_a_changed_token_is_refused() -> None:
    issuer = TokenIssuer()
    head, body, signature = issuer.issue(scope="storage.read:/").split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["scope"] = "storage.modify:/"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()

    with pytest.raises(LoginError, match="signature"):
        issuer.login(f"{head}.{forged}.{signature}")
