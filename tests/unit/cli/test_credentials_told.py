"""`token show`, `get-token`, `doctor` and `whoami`."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.cli import main
from ctadata_providers.credentials import discovery
from ctadata_providers.testing import FakeCta
from tests.unit.cli.conftest import Ran
from tests.unit.credentials.machine import jwt, named, put


@pytest.fixture(autouse=True)
def machine(cta_environ: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without credentials of its own."""
    for name in ("home", "runtime", "shared"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(discovery, "SHARED_FOLDER", tmp_path / "shared")
    return tmp_path


def doctor_json(ctadata: Callable[..., Ran], *options: str) -> dict[str, Any]:
    """Return what the doctor tells as JSON."""
    (record,) = ctadata("doctor", "--json", *options).records
    return dict(record)


# token show


def test_token_show_tells_all_but_the_token(ctadata: Callable[..., Ran], fake_cta: FakeCta) -> None:
    ran = ctadata("token", "show")

    assert ran.code == 0
    assert ran.lines[0] == "source:       the setting token (BEARER_TOKEN)"
    assert "subject:      alice" in ran.lines
    assert any(line.startswith("scopes:       storage.create:/ ") for line in ran.lines)
    assert os.environ["BEARER_TOKEN"] not in ran.out + ran.err


def test_token_show_can_be_json(ctadata: Callable[..., Ran]) -> None:
    (record,) = ctadata("token", "show", "--json").records

    assert 0 < record["seconds_left"] <= 7 * 24 * 3600
    assert record["expires_at"].endswith("Z")
    assert record["audience"] == ["https://wlcg.cern.ch/jwt/v1/any"]
    assert "token" not in record


@pytest.mark.parametrize("command", [("token", "show", "--print"), ("get-token",), ("print-token",)])
def test_the_token_alone_is_on_stdout_when_it_is_asked_for(
    command: tuple[str, ...], ctadata: Callable[..., Ran]
) -> None:
    ran = ctadata(*command)

    assert (ran.code, ran.out) == (0, os.environ["BEARER_TOKEN"] + "\n")
    assert ran.one_line.startswith("valid till 20")


def test_an_opaque_token_is_valid_till_nobody_knows(
    ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", "opaque")

    assert ctadata("get-token").one_line == "valid till an unknown time"
    assert "expires at:   -" in ctadata("token", "show").lines


def test_no_token_is_one_clear_error(
    ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("BEARER_TOKEN")
    ran = ctadata("token", "show")
    other = ctadata("token", "show", "--cert-file", tmp_path / "c.pem")

    assert (ran.code, other.code) == (1, 1)
    assert ran.one_line == "ctadata: there is no token; log in with 'ctadata login', or see 'ctadata doctor'"
    assert "is a certificate, not a token; see 'ctadata proxy info'" in other.one_line


# doctor


def test_doctor_tells_which_source_won_and_what_it_is_good_for(ctadata: Callable[..., Ran], fake_cta: FakeCta) -> None:
    ran = ctadata("doctor")

    assert ran.code == 0
    assert ran.lines[0].endswith(f" {fake_cta.settings()['door_url']}")
    assert any(line.startswith("  used      token ") for line in ran.lines)
    assert any(line.startswith("  absent    token discovery ") for line in ran.lines)
    assert any(line.endswith("refreshable:  no") for line in ran.lines)
    assert f"trusted CAs: {', '.join(doctor_json(ctadata)['trust'])}; revocation lists are not checked" in ran.lines
    assert ran.lines[-1] == "next: nothing, the credential can be used"
    assert os.environ["BEARER_TOKEN"] not in ran.out + ran.err
    assert fake_cta.requests == []


def test_doctor_can_be_json(ctadata: Callable[..., Ran], fake_cta: FakeCta) -> None:
    record = doctor_json(ctadata)

    assert (record["used"], record["door_url"]) == ("token", fake_cta.settings()["door_url"])
    assert record["token"]["subject"] == "alice"
    assert (record["agent"], record["online"], record["error"]) == (None, None, None)


def test_doctor_asks_the_door_once_when_told_to(ctadata: Callable[..., Ran], fake_cta: FakeCta) -> None:
    ran = ctadata("doctor", "--online")
    asked = len(fake_cta.requests)

    assert ran.code == 0
    assert "door: it lets us in" in ran.lines
    assert "clock: that of the door agrees with ours" in ran.lines
    assert asked == 1


def test_doctor_tells_that_the_clock_is_wrong(ctadata: Callable[..., Ran], fake_cta: FakeCta) -> None:
    fake_cta.clock_ahead = 90
    lines = ctadata("doctor", "--online").lines

    assert any(line in lines for line in (f"clock: that of the door is +{n} s off" for n in (89, 90)))


def test_doctor_tells_that_the_door_refuses_the_token(
    ctadata: Callable[..., Ran], fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", jwt(iss="https://elsewhere.example", jti="doctor"))
    ran = ctadata("doctor", "--online")

    assert ran.code == 1
    assert any(line.startswith("door: ") and "answered 401" in line for line in ran.lines)
    assert ran.lines[-1].endswith("get a new token")
    assert [request.status for request in fake_cta.requests] == [401]


def test_doctor_tells_why_nothing_is_used(
    ctadata: Callable[..., Ran], machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BEARER_TOKEN")
    path = put(machine / "runtime" / f"bt_u{os.geteuid()}", named("x"), 0o644)
    ran = ctadata("doctor")

    assert ran.code == 1
    assert any(line.startswith("  unusable  token discovery") and str(path) in line for line in ran.lines)
    assert ran.lines[-1] == f"next: chmod 600 {path}"


def test_doctor_without_any_credential_advises_a_login(
    ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("BEARER_TOKEN", "CTA_DOOR_URL"):
        monkeypatch.delenv(variable)
    ran = ctadata("doctor")

    assert (ran.code, ran.lines[-1]) == (1, "next: log in with 'ctadata login'")


def test_doctor_tells_the_proxy_without_its_password(
    ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTA_DOOR_URL", "https://door.example")
    monkeypatch.setenv("HTTPS_PROXY", "http://alice:secretly@proxy.example:3128")
    ran = ctadata("doctor")

    assert "proxy: http://proxy.example:3128 for https://door.example" in ran.lines
    assert "secretly" not in ran.out + ran.err


def test_doctor_asks_the_program_that_gives_the_token(
    ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = doctor_json(ctadata, "--token-command", f"echo {jwt(sub='command', exp=time.time() + 3600)}")

    assert (record["used"], record["refreshable"]) == ("token_command", True)


def test_after_a_login_the_doctor_is_content_and_whoami_knows_the_user(
    cta_login_environ: object, fake_cta: FakeCta, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*command: str) -> tuple[int, dict[str, Any]]:
        code = main([*command, "--json"])
        return code, json.loads(capsys.readouterr().out.splitlines()[-1])

    fake_cta.put("/lst/users/alice/f", b"")
    missing, before = run("doctor")
    main(["login", "--quiet"])
    content, after = run("doctor", "--online")
    _, home = run("whoami")

    assert (missing, before["used"]) == (1, None)
    assert "ctadata login" in before["next"]
    assert (content, after["used"], after["refreshable"]) == (0, "login", True)
    assert after["online"]["answer"] == "it lets us in"
    assert {source["state"] for source in after["sources"]} <= {"used", "absent"}
    assert home["home"] == "/lst/users/alice"


# whoami


def test_whoami_is_the_setting_home_without_asking_anybody(
    ctadata: Callable[..., Ran], fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTA_HOME", "/lst/users/somebody")
    ran = ctadata("whoami")

    assert (ran.code, ran.out, ran.err) == (0, "/lst/users/somebody\n", "")
    assert fake_cta.requests == []


def test_whoami_is_the_folder_of_the_tokens_name_that_the_door_knows(
    ctadata: Callable[..., Ran], fake_cta: FakeCta
) -> None:
    fake_cta.put("/cta/users/alice/f", b"")
    ran = ctadata("whoami", "-v")

    assert (ran.code, ran.out) == (0, "/cta/users/alice\n")
    assert "as told by the token's subject alice" in ran.err
    assert ctadata("whoami", "--json").records == [{"home": "/cta/users/alice", "how": "the token's subject alice"}]


def test_whoami_where_there_is_no_such_folder_is_one_clear_error(ctadata: Callable[..., Ran]) -> None:
    ran = ctadata("whoami")

    assert (ran.code, ran.out) == (2, "")
    assert "none of /lst/users/alice, /cta/users/alice is a folder; set home (CTA_HOME)" in ran.one_line
