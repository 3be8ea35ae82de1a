"""What people are told of where their credentials come from."""

import os
import re
import time
from pathlib import Path

import pytest

from ctadata_providers import Config, CredentialError
from ctadata_providers.credentials import Token
from ctadata_providers.credentials.survey import Found, Report, facts, report, shown_proxy, survey, trusted_places
from tests.unit.credentials.grid import make_grid
from tests.unit.credentials.machine import jwt, log_in, named, put

SECRET = "a-very-secret-token"


def states(found: "list[Found] | tuple[Found, ...]") -> list[str]:
    """Return what became of each place."""
    return [place.state for place in found]


def of(found: "list[Found] | tuple[Found, ...]", state: str) -> Found:
    """Return the only place in a state."""
    (place,) = [place for place in found if place.state == state]
    return place


def test_on_an_empty_machine_all_is_absent_and_a_login_advised(home: Path) -> None:
    told = report(Config.from_env())

    assert set(states(told.found)) == {"absent"}
    assert (told.token, told.certificate, told.fault, told.chosen, told.usable) == (None, None, None, None, False)
    assert told.advice == "log in with 'ctadata login'"


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_cas_that_are_none_are_told_although_the_credential_is_good(content: str, tmp_path: Path) -> None:
    cas = tmp_path / "cas.pem"
    cas.write_text(content)
    good = report(Config.from_mapping({"token": SECRET}))
    told = report(Config.from_mapping({"token": SECRET, "ca_path": str(cas)}))

    assert good.fault is None
    assert f"ca_path {cas} holds no certificate" in str(told.fault)
    assert told.advice == "give a PEM file or a hashed folder of CAs"


def test_a_hub_token_that_nothing_leads_to_its_services_is_spoken_of(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", SECRET)
    monkeypatch.setenv("JUPYTERHUB_API_URL", "http://hub:8081/hub/api")
    told = report(Config.from_env()).advice

    assert told.startswith("log in with 'ctadata login'; or, if the token in JUPYTERHUB_API_TOKEN is of their hub, ")
    assert told.endswith("CTADS_URL=https://platform.cta.cscs.ch/services/downloadservice/")
    for door_is_meant in ({"backend": "webdav"}, {"door_url": "https://other.example"}):
        assert "CTADS_URL" not in report(Config.from_env(**door_is_meant)).advice


def test_without_an_issuer_no_login_is_advised(home: Path) -> None:
    assert report(Config.from_env(door_url="https://other.example")).advice.startswith("name a credential")


def test_the_first_is_used_and_the_others_are_shadowed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(put(home / "named", named("named"))))
    put(home / "runtime" / f"bt_u{os.geteuid()}", named("runtime"))
    log_in(Config.from_env(token_file="/x"))
    found = survey(Config.from_env())

    assert states(found) == ["used", "shadowed", "absent", "shadowed", "absent", "absent", "absent"]
    assert [place.name for place in found][:4] == ["token_file", "token discovery", "token discovery", "login"]
    assert of(found, "used").place == f"{home / 'named'} (BEARER_TOKEN_FILE)"
    assert [place.refreshable for place in found[:4]] == [False, False, False, True]
    assert [place.chosen for place in found].count(True) == 1


def test_what_is_passed_over_is_unusable_and_told_why(home: Path) -> None:
    put(home / "runtime" / f"bt_u{os.geteuid()}", "\n")
    put(home / "home/.config/cta-data/token", jwt(exp=time.time() - 3600))
    put(home / "home/.cta_token", named("ctadata"))
    found = survey(Config.from_env())
    whys = {place.name: place.why for place in found if place.state == "unusable"}

    assert of(found, "used").place == str(home / "home/.cta_token")
    assert whys["token discovery"] == f"{home / 'runtime'}/bt_u{os.geteuid()} is empty"
    assert "expired 3600 s ago" in (whys["ctadata"] or "")


def test_what_stops_the_search_is_chosen_though_unusable(home: Path) -> None:
    path = put(home / "runtime" / f"bt_u{os.geteuid()}", named("runtime"), 0o644)
    put(home / "home/.cta_token", named("ctadata"))
    told = report(Config.from_env())

    assert told.chosen == of(told.found, "unusable")
    assert states(told.found).count("shadowed") == 1
    assert (told.usable, told.advice) == (False, f"chmod 600 {path}")
    assert isinstance(told.fault, CredentialError)


def test_a_missing_login_is_told_only_where_it_is_missed(home: Path) -> None:
    config = Config.from_env(issuer="https://issuer.example", client_id="c")
    before = survey(config)
    log_in(config)
    after = survey(config)

    assert [(place.name, place.state) for place in before][-1] == ("issuer", "unusable")
    assert of(after, "used").name == "login"
    assert "unusable" not in states(after)


def test_a_setting_that_cannot_be_used_is_told(home: Path) -> None:
    for settings, why in (
        ({"token_file": home / "missing"}, "No such file"),
        ({"token": jwt(exp=time.time() - 3600)}, "expired 3600 s ago"),
        ({"proxy_file": home / "missing"}, "cannot read"),
        ({"door_url": "http://other.example", "token": SECRET}, "unencrypted"),
    ):
        told = report(Config.from_mapping(settings))

        assert why in (of(told.found, "unusable").why or "")
        assert told.fault is not None
        assert not told.usable


def test_a_survey_runs_no_program_but_a_report_asks_the_one_that_is_used(home: Path) -> None:
    marker = home / "ran"
    config = Config.from_env(token_command=("/bin/sh", "-c", f"touch {marker}; echo {named('command')}"))
    found = survey(config)
    ran = marker.exists()
    told = report(config)

    assert (states(found)[0], ran) == ("used", False)
    assert told.token is not None
    assert told.token.subject == "command"
    assert (told.usable, told.advice) == (True, "nothing, the credential can be used")


def test_a_source_that_gives_nothing_when_asked_is_unusable(home: Path) -> None:
    told = report(Config.from_env(token_command=("/bin/false", str(home))))

    assert of(told.found, "unusable").name == "token_command"
    assert told.fault is not None
    assert "failed with code 1" in told.fault.message


def test_a_proxy_is_used_and_told(home: Path) -> None:
    told = report(Config.from_mapping({"proxy_file": make_grid().proxy_file(home)}))

    assert of(told.found, "used").kind == "certificate"
    assert told.certificate is not None
    assert told.certificate.identity == "/O=TestGrid/CN=Alice"
    assert (told.usable, told.fault, told.advice) == (True, None, "nothing, the credential can be used")


def test_a_long_lived_certificate_is_no_proxy_but_may_be_used_as_what_it_is(home: Path) -> None:
    certificate, key = make_grid().certificate(home)
    pem = put(home / "both.pem", certificate.read_text() + key.read_text())
    refused = report(Config.from_mapping({"proxy_file": pem}))
    used = report(Config.from_mapping({"cert_file": certificate, "key_file": key}))

    assert (refused.usable, used.usable) == (False, True)
    assert of(refused.found, "unusable").chosen
    assert "ctadata proxy create" in refused.advice


def test_a_token_near_its_end_that_nothing_renews_is_told(home: Path) -> None:
    told = report(Config.from_mapping({"token": jwt(exp=time.time() + 100)}))

    assert told.usable
    assert "is not renewed by itself" in told.advice


def test_an_ended_token_of_the_environment_is_not_replaced_by_a_login_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", jwt(exp=time.time() - 3600))
    told = report(Config.from_env())

    assert told.advice == "unset BEARER_TOKEN, then 'ctadata login'; or set it to a new token"
    assert of(told.found, "unusable").remedy == told.advice


def test_an_ended_token_file_is_that_of_whoever_keeps_it_fresh(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(home / "token", jwt(exp=time.time() - 3600))
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(path))
    told = report(Config.from_env())

    assert told.advice == (
        "whoever keeps that file fresh has ended: see 'ctadata agent status'; or unset BEARER_TOKEN_FILE, then "
        "'ctadata login'"
    )


def test_where_only_ended_tokens_lie_about_a_login_is_advised(home: Path) -> None:
    put(home / "runtime" / f"bt_u{os.geteuid()}", jwt(exp=time.time() - 3600))
    told = report(Config.from_env())

    assert (told.usable, told.advice) == (False, "log in with 'ctadata login'")
    assert all("ctadata doctor" not in (place.remedy or "") for place in told.found)


def test_where_no_login_can_be_the_ended_token_is_named(home: Path) -> None:
    put(home / "runtime" / f"bt_u{os.geteuid()}", jwt(exp=time.time() - 3600))
    told = report(Config.from_env(door_url="https://other.example"))

    assert told.advice.startswith("put a new token there, or take it away")


def test_a_login_that_the_issuer_has_ended_is_told_while_its_token_lives(home: Path) -> None:
    log_in(Config.from_env(), refused=True, failure="invalid_grant")
    told = report(Config.from_env())

    assert told.usable
    assert told.chosen is not None
    assert not told.chosen.refreshable
    assert "the login cannot go on (invalid_grant): 'ctadata login' begins another" in told.advice


@pytest.mark.parametrize("setting", ["token", "token_file"])
def test_a_token_that_has_just_ended_is_told_as_such(setting: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = jwt(exp=time.time() - 5)
    if setting == "token":
        monkeypatch.setenv("BEARER_TOKEN", token)
    else:
        monkeypatch.setenv("BEARER_TOKEN_FILE", str(put(home / "named", token)))
    advice = report(Config.from_env()).advice

    assert re.match(r"it ended \d s ago by the clock of this machine: ", advice)
    assert "unset BEARER_TOKEN" in advice


def test_a_token_that_does_not_tell_its_end_is_not_called_good(home: Path) -> None:
    told = report(Config.from_mapping({"token": "opaque"}))

    assert told.usable
    assert told.advice == "the token does not tell whether it still lives: 'ctadata doctor --online' asks the door"


def test_nothing_secret_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTA_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("BEARER_TOKEN", SECRET)
    told = report(Config.from_env(token_command=("echo", SECRET)))
    other = report(Config.from_env())

    assert SECRET not in repr(told) + repr(other) + repr(facts(Token.parse(SECRET, source="x"), 0))


def test_a_report_without_anything_is_not_usable() -> None:
    assert not Report(found=()).usable


# Facts


def test_the_facts_of_a_token_can_be_json(home: Path) -> None:
    claims = {"exp": 1000, "iss": "https://i.example", "aud": "d", "scope": "b a", "preferred_username": "alice"}

    assert facts(Token.parse(jwt(**claims), source="here"), 900.4) == {
        "source": "here",
        "issuer": "https://i.example",
        "audience": ["d"],
        "scopes": ["a", "b"],
        "subject": None,
        "username": "alice",
        "expires_at": 1000.0,
        "seconds_left": 100,
    }


def test_the_facts_of_an_opaque_token_are_few() -> None:
    told = facts(Token.parse(SECRET, source="here"), 0)

    assert {name: value for name, value in told.items() if value} == {"source": "here"}


def test_a_proxy_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://alice:{SECRET}@proxy.example:3128")
    monkeypatch.setenv("no_proxy", "door.example")

    assert shown_proxy("https://other.example/x") == "http://proxy.example:3128"
    assert shown_proxy("https://door.example/x") is None


def test_the_places_of_trusted_cas_are_told(tmp_path: Path) -> None:
    extra = put(tmp_path / "ca.pem", "")

    assert extra in trusted_places(extra)
    assert len(trusted_places(extra)) == 2
    assert trusted_places(None)
