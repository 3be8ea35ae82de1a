"""`ctadata certificate upload` and `certificate status`: what they take, print and return."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.cli.test_interrupts import interrupted

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def running() -> Iterator[FakeCta]:
    with FakeCta(services=True) as cta:
        yield cta


@pytest.fixture
def services(ctadata: Run, running: FakeCta, monkeypatch: pytest.MonkeyPatch) -> FakeCta:
    """The CTA services, to which the environment leads, with a proxy where it is looked for."""
    running.reset()
    for name in ("CTA_DOOR_URL", "BEARER_TOKEN", "CTA_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in running.service_environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("X509_USER_PROXY", str(running.proxy_file))
    return running


def test_the_proxy_that_was_made_is_given_and_then_works(ctadata: Run, services: FakeCta) -> None:
    services.set_certificate("alice", "lst", "none")
    before = ctadata("certificate", "status", "--key", "lst")
    given = ctadata("certificate", "upload", "--key", "lst")
    after = ctadata("certificate", "status", "--key", "lst")

    assert (before.code, given.code, after.code) == (1, 0, 0)
    assert "You do not have any certificate configured" in before.lines[-1]
    assert before.one_line == "lst: ctadata proxy create, then ctadata certificate upload --key lst"
    assert given.out.startswith(f"{services.proxy_file} is the certificate for lst at the services until 20")
    assert after.lines[-1] == "key lst:            works: the storage answered"


def test_a_named_proxy_is_given_as_json(ctadata: Run, services: FakeCta) -> None:
    (given,) = ctadata("certificate", "upload", services.make_proxy(), "--json").records

    assert (given["key"], given["user"], given["shared"]) == ("cta", None, False)
    assert given["path"] != str(services.proxy_file)
    assert 3500 < given["seconds_left"] <= 3600
    assert given["message"] == "Certificate stored"


def test_the_proxy_that_the_settings_name_is_the_one_that_is_given(
    ctadata: Run, services: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = services.make_proxy()
    with_option = ctadata("certificate", "upload", "--proxy-file", named, "--json")
    monkeypatch.delenv("X509_USER_PROXY")
    alone = ctadata("--proxy-file", named, "certificate", "upload", "--json")
    by_path = ctadata("certificate", "upload", services.proxy_file, "--proxy-file", named, "--json")

    assert [ran.records[0]["path"] for ran in (with_option, alone, by_path)] == [
        str(named),
        str(named),
        str(services.proxy_file),
    ]


def test_administrators_give_the_shared_one_and_those_of_others(
    ctadata: Run, services: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ctadata("certificate", "upload", "--shared")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", services.make_hub_token("admin", admin=True))
    shared, other = ctadata("certificate", "upload", "--shared"), ctadata("certificate", "upload", "-u", "bob")

    assert refused.code == 1
    assert "administrators only" in refused.one_line
    assert (shared.code, other.code) == (0, 0)
    assert "is the shared certificate at the services until" in shared.out
    assert "for cta of bob at the services until" in other.out


@pytest.mark.parametrize("more", [("--key", "lst"), ("-u", "bob"), ("--user", "bob")])
def test_the_shared_one_has_no_key_and_no_user(more: tuple[str, str], ctadata: Run, services: FakeCta) -> None:
    ran = ctadata("certificate", "upload", "--shared", *more)

    assert ran.code == 2
    assert services.requests == []


def test_wrong_usage_is_told_as_such(ctadata: Run, services: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ctadata("certificate", "upload", "--key", "astri").code == 2
    assert ctadata("certificate", "status", "--key", "astri").code == 2
    assert ctadata("certificate").code == 2
    assert ctadata("certificate", "upload", "one", "two").code == 2
    monkeypatch.setenv("CTACS_URL", "no-url")
    assert ctadata("certificate", "upload").code == 2
    assert services.requests == []


def test_a_long_lived_certificate_stays_here(ctadata: Run, services: FakeCta) -> None:
    ran = ctadata("certificate", "upload", services.make_certificate(), "--json")

    assert ran.code == 1
    assert ran.error["error"] == "CredentialError"
    assert "ctadata proxy create" in ran.error["remedy"]
    assert services.requests == []


def test_status_as_json_has_a_line_for_each_part_and_key(ctadata: Run, services: FakeCta) -> None:
    services.set_certificate("alice", "cta", "expired")
    ran = ctadata("certificate", "status", "--json")
    parts, keys = ran.records[:4], ran.records[4:]

    assert ran.code == 1  # one that was given fails
    assert [part["service"] for part in parts] == [
        "downloadservice",
        "storage",
        "certificateservice",
        "shared certificate",
    ]
    assert all(part["well"] for part in parts)
    assert [(key["key"], key["state"], key["works"]) for key in keys] == [
        ("lst", "works", True),
        ("cta", "expired", False),
        ("arc", "works", True),
    ]
    assert keys[1]["remedy"].endswith("--key cta")
    assert ran.err == ""


def test_status_is_well_when_only_a_key_is_missing_that_others_make_up_for(ctadata: Run, services: FakeCta) -> None:
    services.set_certificate("alice", "arc", "none")

    assert ctadata("certificate", "status").code == 0


def test_without_a_token_the_health_is_told_and_the_code_is_1(
    ctadata: Run, services: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUPYTERHUB_API_TOKEN")
    ran = ctadata("certificate", "status")

    assert ran.code == 1
    assert ["well: OK" in line for line in ran.lines] == [True] * 4 + [False] * 3
    assert ran.lines[-1].startswith("key arc:            no token: there is no hub token for ")


@pytest.mark.parametrize("command", ["status", "upload"])
def test_ctrl_c_ends_the_wait_for_a_silent_service(command: str, ctadata: Run, services: FakeCta) -> None:
    stalled = services.faults.add("stall", server="certificateservice")
    interrupted(["certificate", command], lambda: stalled.hits)


def test_no_secret_is_printed(ctadata: Run, services: FakeCta, tmp_path: Path) -> None:
    ran = [ctadata("-vv", "certificate", "upload"), ctadata("-vv", "certificate", "status")]
    key = services.proxy_file.read_text().split("PRIVATE KEY-----")[1].split()[0]

    for one in ran:
        assert services.hub_token not in one.out + one.err
        assert key not in one.out + one.err
