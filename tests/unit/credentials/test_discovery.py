"""Where credentials are looked for, in which order, and what is passed over."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, ConfigError, CredentialError
from ctadata_providers.config import BUILT_IN_PROFILES
from ctadata_providers.credentials import Credential, discovery, resolve
from ctadata_providers.credentials.oidc import sessions
from ctadata_providers.credentials.oidc.store import Store
from tests.unit.credentials.grid import make_grid
from tests.unit.credentials.machine import jwt, log_in, named, put

ISSUER = "https://issuer.example/realms/x"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def who(credential: Credential) -> str:
    """Return the subject of the token that would be sent, or which certificate is shown, or nothing."""
    token = credential.token()
    if token is not None:
        return token.subject or token.value
    return credential.certificate.cert_file.name if credential.certificate else ""


def found(**settings: Any) -> str:
    """Return what is found with the settings of the environment and some more."""
    return who(resolve(Config.from_env(**settings)))


# The order


def test_the_order_is_that_of_the_documentation(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is there; what was found first is then taken away, again and again."""
    uid = os.geteuid()
    proxy = put(home / "shared" / f"x509up_u{uid}", "proxy")
    places: list[tuple[str, Callable[[], object]]] = [
        ("BEARER_TOKEN", lambda: monkeypatch.delenv("BEARER_TOKEN")),
        ("BEARER_TOKEN_FILE", lambda: monkeypatch.delenv("BEARER_TOKEN_FILE")),
        ("runtime", lambda: (home / "runtime" / f"bt_u{uid}").unlink()),
        ("shared", lambda: (home / "shared" / f"bt_u{uid}").unlink()),
        ("login", lambda: Store(sessions.account_of(Config.from_env())).remove()),
        ("ctadata", lambda: (home / "home/.config/cta-data/token").unlink()),
        ("old ctadata", lambda: (home / "home/.cta_token").unlink()),
        ("proxy", lambda: monkeypatch.delenv("X509_USER_PROXY")),
        (proxy.name, proxy.unlink),
        ("cert", lambda: monkeypatch.delenv("X509_USER_CERT")),
        ("", lambda: None),
    ]
    log_in(Config.from_env())
    monkeypatch.setenv("BEARER_TOKEN", named("BEARER_TOKEN"))
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(put(home / "named", named("BEARER_TOKEN_FILE"), 0o644)))
    monkeypatch.setenv("X509_USER_PROXY", str(home / "proxy"))
    monkeypatch.setenv("X509_USER_CERT", str(home / "cert"))
    put(home / "runtime" / f"bt_u{uid}", named("runtime"))
    put(home / "shared" / f"bt_u{uid}", f" {named('shared')}\r\n")
    put(home / "home/.config/cta-data/token", named("ctadata"))
    put(home / "home/.cta_token", named("old ctadata"))
    order = []
    for _, remove in places:
        order.append(found())
        remove()

    assert order == [name for name, _ in places]


def test_a_setting_goes_before_all_that_lies_about(home: Path) -> None:
    put(home / "runtime" / f"bt_u{os.geteuid()}", named("runtime"))
    put(home / "cert", "")

    assert found(token_file=put(home / "named", named("setting"))) == "setting"
    assert found(token_command=("echo", named("command"))) == "command"
    assert found(proxy_file=home / "proxy") == "proxy"
    assert found(cert_file=home / "cert") == "cert"
    assert found() == "runtime"


def test_a_proxy_of_the_environment_goes_before_one_in_tmp_and_a_certificate_after_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = put(home / "shared" / f"x509up_u{os.geteuid()}", "").name
    monkeypatch.setenv("X509_USER_CERT", str(home / "cert"))
    before = found()
    monkeypatch.setenv("X509_USER_PROXY", str(home / "proxy"))

    assert (before, found()) == (name, "proxy")


def test_nothing_that_lies_about_is_used_by_settings_that_are_complete(home: Path) -> None:
    put(home / "runtime" / f"bt_u{os.geteuid()}", named("runtime"))
    put(home / "shared" / f"x509up_u{os.geteuid()}", "")
    put(home / "home/.cta_token", named("ctadata"))
    config = Config.from_mapping({})
    log_in(config)

    assert who(resolve(config)) == ""
    assert found(ambient_credentials=False) == ""
    assert who(resolve(config.with_settings(ambient_credentials=True))) == "runtime"


# What is passed over, and what is an error


def test_an_empty_variable_or_file_goes_on_to_the_next(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_TOKEN", "")
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(put(home / "named", " \n")))
    put(home / "runtime" / f"bt_u{os.geteuid()}", "\n")
    put(home / "shared" / f"bt_u{os.geteuid()}", named("shared"))

    assert found() == "shared"


def test_an_empty_file_of_a_setting_is_an_error(home: Path) -> None:
    put(home / "runtime" / f"bt_u{os.geteuid()}", named("runtime"))
    with pytest.raises(CredentialError, match="named does not hold a bearer token"):
        found(token_file=put(home / "named", "\n"))


def test_a_missing_file_of_the_environment_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(home / "missing"))
    put(home / "runtime" / f"bt_u{os.geteuid()}", named("runtime"))
    with pytest.raises(CredentialError, match="missing: No such file"):
        found()


@pytest.mark.parametrize("content", ["two words", "new\nline", "x" * 70_000, "ü"])
def test_a_malformed_token_that_lies_about_is_an_error(content: str, home: Path) -> None:
    path = put(home / "runtime" / f"bt_u{os.geteuid()}", content)
    put(home / "shared" / f"bt_u{os.geteuid()}", named("shared"))
    with pytest.raises(CredentialError, match=str(path)) as caught:
        found()

    assert content not in str(caught.value)


def test_a_malformed_token_in_the_environment_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_TOKEN", "two words")
    with pytest.raises(ConfigError, match="token") as caught:
        found()

    assert "two words" not in str(caught.value)


def test_a_token_that_ended_is_passed_over_for_one_that_lives(home: Path) -> None:
    put(home / "runtime" / f"bt_u{os.geteuid()}", jwt(exp=time.time() - 3600))
    put(home / "home/.config/cta-data/token", jwt(exp=time.time() - 7200))
    put(home / "home/.cta_token", named("ctadata"))

    assert found() == "ctadata"


def test_a_token_that_ended_is_an_error_where_there_is_nothing_else(home: Path) -> None:
    put(home / "runtime" / f"bt_u{os.geteuid()}", jwt(exp=time.time() - 3600))
    with pytest.raises(CredentialError, match=r"bt_u\d+ expired 3600 s ago"):
        found()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
@pytest.mark.parametrize("name", ["runtime/bt_u{}", "shared/bt_u{}", "home/.cta_token", "shared/x509up_u{}"])
def test_a_file_that_others_may_touch_is_an_error_that_tells_the_cure(name: str, mode: int, home: Path) -> None:
    path = put(home / name.format(os.geteuid()), named("open"), mode)
    with pytest.raises(CredentialError, match=f"chmod 600 {path}"):
        found()


@pytest.mark.parametrize("name", ["runtime/bt_u{}", "shared/bt_u{}", "home/.cta_token", "shared/x509up_u{}"])
def test_a_link_of_our_own_is_an_error_that_tells_the_cure(name: str, home: Path) -> None:
    path = home / name.format(os.geteuid())
    path.symlink_to(put(home / "target", named("target")))
    with pytest.raises(CredentialError, match=f"symbolic link.*rm {path}"):
        found()


def test_a_proxy_in_tmp_that_becomes_a_link_while_it_is_used_is_shown_no_more(home: Path) -> None:
    path = home / "shared" / f"x509up_u{os.geteuid()}"
    make_grid().proxy_file(home).rename(path)
    certificate = resolve(Config.from_env()).certificate
    assert certificate is not None
    certificate.check()
    path.unlink()
    path.symlink_to(make_grid().proxy_file(home))

    with pytest.raises(CredentialError, match=f"symbolic link.*rm {path}"):
        certificate.check()


@needs_root
def test_a_file_of_somebody_else_in_tmp_locks_nobody_out(home: Path) -> None:
    for name in ("bt_u", "x509up_u"):
        os.chown(put(home / "shared" / f"{name}{os.geteuid()}", named("trap")), 65534, -1)
    put(home / "home/.cta_token", named("ctadata"))

    assert found() == "ctadata"


@needs_root
def test_a_link_of_somebody_else_in_tmp_locks_nobody_out(home: Path) -> None:
    link = home / "shared" / f"bt_u{os.geteuid()}"
    link.symlink_to(put(home / "secret", named("trap")))
    os.chown(link, 65534, -1, follow_symlinks=False)

    assert found() == ""


@needs_root
def test_a_file_of_somebody_else_in_a_folder_of_ours_is_an_error(home: Path) -> None:
    os.chown(put(home / "runtime" / f"bt_u{os.geteuid()}", named("trap")), 65534, -1)
    with pytest.raises(CredentialError, match="another user"):
        found()


def test_a_link_put_in_place_of_a_good_file_is_not_followed(home: Path) -> None:
    path = put(home / "runtime" / f"bt_u{os.geteuid()}", named("good"))
    credential = resolve(Config.from_env())
    first = who(credential)
    path.unlink()
    path.symlink_to(put(home / "target", named("target")))

    assert first == "good"
    assert credential.ready() is None
    with pytest.raises(CredentialError, match="symbolic link"):
        credential.token()


def test_a_runtime_folder_that_is_not_there_is_no_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home / "shared" / f"bt_u{os.geteuid()}", named("shared"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "gone"))
    before = found()
    monkeypatch.delenv("XDG_RUNTIME_DIR")

    assert (before, found()) == ("shared", "shared")


def test_a_malformed_file_of_ctadata_is_passed_over(home: Path) -> None:
    put(home / "home/.config/cta-data/token", "not a token")
    put(home / "home/.cta_token", named("ctadata"))

    assert found() == "ctadata"


# To which door


def test_the_files_of_ctadata_go_to_their_own_doors_only(home: Path) -> None:
    put(home / "home/.config/cta-data/token", named("prod"))
    put(home / "home/.config/cta-data/token-dev", named("dev"))

    assert (found(), found(profile="dev")) == ("prod", "dev")
    assert found(door_url=BUILT_IN_PROFILES["dev"]["door_url"]) == "dev"
    assert found(door_url="https://other.example:2880") == ""


def test_a_login_goes_to_its_own_door_only(home: Path) -> None:
    other = Config.from_env(door_url="https://other.example", issuer=ISSUER, client_id="c")
    log_in(Config.from_env())
    log_in(other)
    third = other.with_settings(door_url="https://third.example")

    assert (found(), who(resolve(other))) == ("login", "login")
    assert found(profile="dev") == ""
    with pytest.raises(
        CredentialError, match=r"nobody has logged in at .* for https://third.example; run 'ctadata login --issuer"
    ):
        resolve(third)


def test_nothing_that_lies_about_goes_unencrypted_to_another_machine(home: Path) -> None:
    put(home / "runtime" / f"bt_u{os.geteuid()}", named("runtime"))

    assert found(door_url="http://other.example") == ""
    assert found(door_url="http://localhost:1") == "runtime"


# An issuer that somebody has chosen


def test_a_chosen_issuer_rules_out_the_tokens_that_lie_about(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home / "runtime" / f"bt_u{os.geteuid()}", named("runtime"))
    put(home / "home/.cta_token", named("ctadata"))
    put(home / "shared" / f"x509up_u{os.geteuid()}", "")
    with pytest.raises(CredentialError, match=f"nobody has logged in at {ISSUER}"):
        found(issuer=ISSUER, client_id="c")
    monkeypatch.setenv("CTA_ISSUER", ISSUER)
    with pytest.raises(CredentialError, match="nobody has logged in"):
        found()
    monkeypatch.setenv("BEARER_TOKEN", named("same level"))

    assert found() == "same level"


def test_an_issuer_alone_is_no_credential_of_settings_that_are_complete(home: Path) -> None:
    with pytest.raises(CredentialError, match="set ambient_credentials, or grant_type=client_credentials"):
        resolve(Config.from_mapping({"issuer": ISSUER, "client_id": "c"}))

    assert resolve(Config.from_mapping({"issuer": ISSUER, "client_id": "c", "proxy_file": "/p"})).certificate


def test_a_robot_needs_no_login(home: Path) -> None:
    settings: dict[str, Any] = {
        "issuer": ISSUER,
        "client_id": "c",
        "grant_type": "client_credentials",
        "client_secret": "s" * 20,
    }

    assert resolve(Config.from_mapping(settings)).has_token
    assert resolve(Config.from_env(**settings)).has_token


def test_a_robot_without_an_issuer_is_told_what_it_lacks(home: Path) -> None:
    with pytest.raises(ConfigError, match="issuer"):
        resolve(Config.from_mapping({"door_url": "https://x.example", "grant_type": "client_credentials"}))


def test_a_running_agent_serves_a_chosen_issuer_but_not_that_of_a_built_in_profile(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "oidc-token").write_text(f"#!/bin/sh\necho {named('agent')}\n")
    (home / "oidc-token").chmod(0o755)
    monkeypatch.setenv("PATH", str(home), prepend=os.pathsep)
    monkeypatch.setenv("OIDC_SOCK", str(home / "sock"))
    monkeypatch.chdir(home)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")

        assert found(issuer=f"https://{home.name}.example", client_id="c") == "agent"
        assert found(oidc_account=home.name) == "agent"
        assert found() == ""


def test_the_login_goes_before_the_agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.from_env(issuer=ISSUER, client_id="c")
    log_in(config)
    monkeypatch.setenv("OIDC_SOCK", str(home))

    assert who(resolve(config)) == "login"


def test_resolving_runs_no_program(home: Path) -> None:
    marker = home / "ran"

    assert resolve(Config.from_env(token_command=("touch", str(marker)))).has_token
    assert not marker.exists()


def test_the_fixtures_stand_for_the_real_thing() -> None:
    code = f"import {discovery.__name__} as discovery; print(discovery.SHARED_FOLDER)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "/tmp\n"
