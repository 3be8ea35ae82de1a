"""`ctadata proxy create` and `ctadata proxy info`: what they take, print and return."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.credentials.made import make_authority, make_proxy, make_user, write

PASSPHRASE = "correct horse battery"
Run = Callable[..., Any]


@pytest.fixture
def globus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with certificate and encrypted key; the proxy goes to `tmp_path`."""
    user = make_user(make_authority(), hours=100)
    folder = tmp_path / "home" / ".globus"
    folder.mkdir(parents=True)
    write(folder / "usercert.pem", user.pem)
    write(folder / "userkey.pem", user.sealed_key(PASSPHRASE))
    write(folder / "open.key", user.key_pem)
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "proxy.pem"))
    for name in ("X509_USER_CERT", "X509_USER_KEY"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def given(globus: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the passphrase on standard input, and return how to say so."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{PASSPHRASE}\n".encode())))
    return ["--key-type", "ec", "--passphrase", "-"]


def test_a_proxy_is_made_told_and_good(ctadata: Run, given: list[str], tmp_path: Path) -> None:
    ran = ctadata("proxy", "create", *given)
    seen = ctadata("proxy", "info")

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"{tmp_path / 'proxy.pem'} is good for 11:59:")
    assert seen.code == 0
    assert seen.lines[0] == f"file:        {tmp_path / 'proxy.pem'}"
    assert "identity:    /O=TestGrid/CN=Alice" in seen.lines
    assert "type:        proxy" in seen.lines
    assert "strength:    EC secp256r1" in seen.lines
    assert "path length: no limit" in seen.lines
    assert seen.lines[-1] == "usable:      yes"


def test_a_proxy_is_made_in_a_process_that_tells_no_secret(globus: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ctadata_providers.cli", "proxy", "create", "--passphrase", "-", "--json"]
    done = subprocess.run(
        command,
        input=PASSPHRASE,
        text=True,
        capture_output=True,
        check=True,
        env={**os.environ, "HOME": str(globus.parent)},
    )

    assert json.loads(done.stdout)["path"] == str(tmp_path / "proxy.pem")
    assert PASSPHRASE not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("option", "hours"), [(("--hours", "1.5"), 1.5), (("--valid", "24:30"), 24.5), (("--valid", "0:01"), 1 / 60)]
)
def test_a_life_is_given_in_hours_or_as_other_tools_have_it(
    option: tuple[str, str], hours: float, ctadata: Run, given: list[str]
) -> None:
    (made,) = ctadata("proxy", "create", *given, *option, "--json").records

    assert 0 <= hours * 3600 - made["seconds_left"] < 30
    assert made["usable"]
    assert made["fault"] is None


def test_it_is_told_that_the_certificate_ends_before(ctadata: Run, given: list[str]) -> None:
    ran = ctadata("proxy", "create", *given, "--hours", 1000)

    assert ran.one_line == "its certificate ends then"
    assert " is good for 9" in ran.out  # an hour less than 100 when a slow run has made the certificate long ago


def test_files_may_be_named_also_before_the_command(ctadata: Run, globus: Path, tmp_path: Path) -> None:
    files = ("--cert-file", globus / "usercert.pem", "--key-file", globus / "open.key")
    after = ctadata("proxy", "create", *files, "--out", tmp_path / "a", "--limited", "--json")
    before = ctadata(*files, "proxy", "create", "--out", tmp_path / "b", "--json")
    seen = ctadata("proxy", "info", tmp_path / "a", "--json")

    assert (after.records[0]["type"], after.records[0]["strength"]) == ("limited proxy", "RSA 2048")
    assert before.records[0]["path"] == str(tmp_path / "b")
    assert seen.records[0]["subject"] == after.records[0]["subject"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--passphrase", PASSPHRASE),
        ("--passphrase",),
        ("--hours", "0"),
        ("--hours", "nan"),
        ("--hours", "long"),
        ("--valid", "12"),
        ("--valid", "1:60"),
        ("--valid", "0:00"),
        ("--valid", "1:00", "--hours", "1"),
        ("--key-type", "dsa"),
        ("more",),
    ],
)
def test_wrong_usage_is_2_makes_nothing_and_repeats_no_passphrase(
    wrong: tuple[str, ...], ctadata: Run, globus: Path, tmp_path: Path
) -> None:
    ran = ctadata("proxy", "create", *wrong)

    assert ran.code == 2
    assert ran.one_line.startswith("ctadata: usage: ")
    assert PASSPHRASE not in ran.err
    assert not (tmp_path / "proxy.pem").exists()


def test_without_a_terminal_nobody_is_asked(
    ctadata: Run, globus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    ran = ctadata("proxy", "create", "--json")

    assert ran.code == 1
    assert ran.error["error"] == "CredentialError"
    assert "no terminal" in ran.error["message"]
    assert ran.error["remedy"] == "give it on standard input: ctadata proxy create --passphrase -"
    assert not (tmp_path / "proxy.pem").exists()


@pytest.mark.parametrize("stdin", [None, io.TextIOWrapper(io.BytesIO(b"")), io.TextIOWrapper(io.BytesIO(b"\xff\n"))])
def test_a_standard_input_without_a_good_passphrase_is_one_error(
    stdin: io.TextIOWrapper | None, ctadata: Run, globus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    ran = ctadata("proxy", "create", "--passphrase", "-", "--json")

    assert ran.code == 1
    assert ran.error["error"] == "CredentialError"
    assert "passphrase" in ran.error["message"]


def test_without_any_standard_input_nobody_is_asked(
    ctadata: Run, globus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    assert ctadata("proxy", "create", "--json").error["error"] == "CredentialError"


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [(f"{PASSPHRASE}\n".encode(), 0, b"is good for"), (b"\x04", 1, b"no passphrase"), (b"\xff\n", 1, b"passphrase of")],
    ids=["right", "end", "no-text"],
)
@pytest.mark.parametrize("option", [(), ("--passphrase", "-")], ids=["asked", "dash"])
def test_a_terminal_is_asked_without_echo(
    typed: bytes, code: int, told: bytes, option: tuple[str, ...], globus: Path
) -> None:
    exit_code, asked, answer = on_terminal(typed, *option)

    assert exit_code == code, answer
    assert told in answer
    assert b"unexpected" not in answer
    assert b"0xff" not in answer
    assert PASSPHRASE.encode() not in asked + answer


def on_terminal(typed: bytes, *options: str) -> tuple[int, bytes, bytes]:
    """Make a proxy at a terminal, and return its exit code and what it showed before and after something was typed."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "ctadata_providers.cli", "proxy", "create", "--key-type", "ec", *options]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        asked = answer = b""
        while b"userkey.pem: " not in asked:
            asked += os.read(ours, 1024)
        os.write(ours, typed)
        with suppress(OSError):  # how the end of a terminal shows on Linux
            while more := os.read(ours, 1024):
                answer += more
    os.close(ours)
    return process.returncode, asked, answer


def test_info_of_what_cannot_be_used_tells_all_and_why_and_is_1(ctadata: Run, fake_cta: FakeCta) -> None:
    expired, certificate = fake_cta.make_proxy(lifetime=-1), fake_cta.make_certificate()
    ran = ctadata("proxy", "info", expired)
    (told,) = ctadata("proxy", "info", certificate, "--json").records

    assert ran.code == 1
    assert ran.err == ""
    assert "identity:    /O=CTA sandbox/CN=alice" in ran.lines
    assert "time left:   0:00:00" in ran.lines
    assert ran.lines[-1].startswith(f"usable:      no: {expired} expired at ")
    assert (told["type"], told["usable"]) == ("certificate", False)
    assert "long-lived certificate" in told["fault"]
    assert "ctadata proxy create" in told["remedy"]
    assert ctadata("proxy", "info", certificate).code == 1


def test_info_of_what_is_no_proxy_at_all_is_an_error(ctadata: Run, globus: Path, tmp_path: Path) -> None:
    missing = ctadata("proxy", "info", "--json")
    empty = ctadata("proxy", "info", write(tmp_path / "empty"))

    assert (missing.code, missing.error["path"]) == (1, str(tmp_path / "proxy.pem"))
    assert "ctadata proxy create" in missing.error["remedy"]
    assert empty.code == 1
    assert "holds no certificate" in empty.one_line


def test_no_name_in_a_certificate_acts_on_the_terminal(ctadata: Run, tmp_path: Path) -> None:
    user = make_user(make_authority())
    proxy = make_proxy(user)
    path = write(tmp_path / "pro\x1b[31mxy", proxy.pem, proxy.key_pem, user.pem)

    assert "\x1b" not in ctadata("proxy", "info", path).out


def test_a_made_proxy_opens_the_door(ctadata: Run, fake_cta: FakeCta, tmp_path: Path) -> None:
    fake_cta.put("/lst/a", b"a")
    ran = ctadata("proxy", "create", "--cert-file", fake_cta.make_certificate(), "--out", tmp_path / "p", "--json")
    listed = ctadata("list", "lst", "--proxy-file", tmp_path / "p")

    assert ran.code == 0
    assert listed.out == "a\n", listed.err
    assert all("authorization" not in request.headers for request in fake_cta.requests)
