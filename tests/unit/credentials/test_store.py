import errno
import fcntl
import json
import os
import pickle
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from ctadata_providers import Config, CredentialError
from ctadata_providers.config.folders import state_folder
from ctadata_providers.credentials.oidc.store import ORPHANED, Store, StoredSession, account_of

SECRETS = ("an-access-token", "a-refresh-token", "a-client-secret")
SESSION = StoredSession(
    issuer="https://id.example/realms/x",
    client_id="me",
    door_url="https://door.example:2880",
    access_token=SECRETS[0],
    refresh_token=SECRETS[1],
    client_secret=SECRETS[2],
    obtained_at=1000.0,
    expires_at=1300.0,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store("prod-0123", tmp_path / "state" / "ctadata-providers")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# What is kept


def test_what_is_kept_is_read_again(store: Store) -> None:
    store.save(SESSION)

    assert store.exists()
    assert store.read() == SESSION


def test_without_a_session_there_is_none(store: Store) -> None:
    assert not store.exists()
    assert store.read() is None
    assert not store.remove()


def test_a_session_is_forgotten_once(store: Store) -> None:
    store.save(SESSION)

    assert (store.remove(), store.remove()) == (True, False)


def test_file_and_lock_and_folder_are_the_owners_alone_whatever_the_umask(store: Store) -> None:
    before = os.umask(0)
    try:
        store.save(SESSION)
        with store.lock(patience=0):
            modes = [mode(path) for path in sorted(store.folder.iterdir())]
    finally:
        os.umask(before)

    assert modes == [0o600, 0o600]
    assert mode(store.folder) == 0o700


def test_a_folder_that_was_open_to_others_is_closed(store: Store) -> None:
    store.folder.mkdir(parents=True)
    store.folder.chmod(0o755)
    store.save(SESSION)

    assert mode(store.folder) == 0o700


def test_no_representation_and_no_pickle_holds_a_secret() -> None:
    shown = repr(SESSION) + str(SESSION)

    assert not [secret for secret in SECRETS if secret in shown]
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(SESSION)


# What cannot be used


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"an-access-token",
        b"[]",
        b"{}",
        b'{"version": 1}',
        b'{"version": 2, "access_token": "an-access-token"}',
        SESSION.to_json()[:-20],
        SESSION.to_json().replace(b"1300.0", b'"an-access-token"'),
        SESSION.to_json().replace(b'"me"', b"7"),
        SESSION.to_json().replace(b"1000.0", b"true"),
        b"\xff\xfe" + SESSION.to_json(),
        b"[" * 100_000,
        SESSION.to_json().replace(b"1000.0", b"1" + b"0" * 400),
    ],
)
def test_a_file_that_is_no_session_is_one_clear_error_and_stays(content: bytes, store: Store) -> None:
    store.save(SESSION)
    store.path.write_bytes(content)
    with pytest.raises(
        CredentialError, match=rf"{store.path} cannot be understood; remove that file and log in"
    ) as told:
        store.read()
    shown = f"{told.value!r} {told.value.__cause__!r} {told.value.path}"

    assert not [secret for secret in SECRETS if secret in shown]
    assert store.path.read_bytes() == content


def test_a_session_of_whole_seconds_and_of_a_later_version_with_more_in_it_can_be_read(store: Store) -> None:
    store.save(SESSION)
    store.path.write_text(json.dumps({**json.loads(SESSION.to_json()), "expires_at": 1300, "news": [1]}))

    assert store.read() == SESSION


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o602])
def test_a_session_that_is_open_to_others_is_refused(bits: int, store: Store) -> None:
    store.save(SESSION)
    store.path.chmod(bits)
    with pytest.raises(CredentialError, match="chmod 600"):
        store.read()


def test_a_link_in_place_of_the_session_is_refused(store: Store, tmp_path: Path) -> None:
    store.save(SESSION)
    store.path.rename(tmp_path / "elsewhere")
    store.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CredentialError, match="symbolic link"):
        store.read()

    assert store.exists()


def test_a_folder_of_somebody_else_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.folder.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(CredentialError, match=r"belongs to somebody else.*XDG_STATE_HOME"):
        store.save(SESSION)


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CredentialError, match=r"cannot keep the session in .*file: .*exists"):
        Store("a", tmp_path / "file").save(SESSION)


# Replacing


def test_a_full_disk_is_told_before_the_provider_is_asked_and_leaves_the_old_session(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(SESSION)

    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    asked = []
    with pytest.raises(CredentialError, match=r"No space left.*make room"), store.reserve():
        asked.append("the provider")

    assert asked == []
    assert store.read() == SESSION
    assert [path.name for path in store.folder.iterdir()] == [store.path.name]


def test_what_was_reserved_and_not_used_leaves_the_old_session_and_nothing_else(store: Store) -> None:
    store.save(SESSION)
    with pytest.raises(KeyboardInterrupt), store.reserve():
        raise KeyboardInterrupt

    assert store.read() == SESSION
    assert [path.name for path in store.folder.iterdir()] == [store.path.name]


def test_who_reads_while_a_session_is_replaced_sees_the_old_one(store: Store) -> None:
    store.save(SESSION)
    new = replace(SESSION, access_token="another")
    with store.reserve() as put:
        seen = store.read()
        put(new)
        seen_then = store.read()

    assert (seen, seen_then) == (SESSION, new)


def test_a_new_file_that_a_killed_process_left_is_removed_when_it_is_old(store: Store) -> None:
    store.save(SESSION)
    old, young, other = (store.folder / f".{name}.new" for name in ("prod-0123.a", "prod-0123.b", "prod-9.a"))
    for path in (old, young, other):
        path.touch()
        if path != young:
            os.utime(path, (0, 0))
    store.save(SESSION)

    assert ORPHANED > 600
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


def test_a_session_that_is_forgotten_leaves_nothing_that_a_killed_process_wrote(store: Store) -> None:
    store.save(SESSION)
    young = store.folder / ".prod-0123.b.new"
    young.touch()
    gone = store.remove()

    assert gone
    assert not young.exists()


# The lock


def test_one_holds_the_lock_and_the_next_finds_it_free_and_its_file_still_there(store: Store) -> None:
    with store.lock(patience=0) as first, Store(store.account, store.folder).lock(patience=0) as second:
        pass
    with store.lock(patience=0) as third:
        pass

    assert (first, second, third) == (True, False, True)
    assert store.path.with_suffix(".lock").exists()


def test_waiting_for_the_lock_ends_when_it_is_given_up_or_takes_too_long(store: Store) -> None:
    asked = iter([False, False, True])
    with (
        store.lock(patience=0),
        store.lock(patience=60, given_up=lambda: next(asked)) as given_up,
        store.lock(patience=0.05) as too_long,
    ):
        pass

    assert (given_up, too_long) == (False, False)


def test_without_flock_there_is_a_lock_all_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", none)
    with store.lock(patience=0) as first, Store(store.account, store.folder).lock(patience=0) as second:
        pass
    with store.lock(patience=0) as third:
        pass

    assert (first, second, third) == (True, False, True)


# Names


def test_an_account_tells_its_door_and_what_it_is_for_but_no_profile() -> None:
    config = Config(issuer="https://id.example/a", client_id="me", door_url="https://door.example")
    same = config.with_settings(profile="a connection", scope="openid", door_url="https://door.example:443")
    changes = ({"issuer": "https://id.example/b"}, {"client_id": "you"}, {"door_url": "https://door.example:2880"})
    names = {account_of(config.with_settings(**change)) for change in changes}

    assert re.fullmatch(r"door\.example-[0-9a-f]{12}", account_of(config))
    assert len({account_of(config), *names}) == 4
    assert account_of(same) == account_of(config)


@pytest.mark.parametrize("host", ["[::1]", "x" * 500, "..", "a..b", "%2e%2e"])
def test_an_account_is_a_file_name_whatever_the_door_is_called(host: str) -> None:
    name = account_of(Config(door_url=f"https://{host}:1", issuer="https://id.example/a", client_id="me"))

    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", name)
    assert not name.startswith(".")


def test_settings_without_an_issuer_have_a_name_too() -> None:
    assert account_of(Config()).startswith("dcache.cta.cscs.ch-")


def test_the_store_is_where_xdg_wants_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    chosen = state_folder()
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/alice")

    assert chosen == tmp_path / "ctadata-providers"
    assert state_folder() == Path("/home/alice/.local/state/ctadata-providers")


def test_a_session_of_somebody_else_is_one_clear_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save(SESSION)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(CredentialError, match=r"belongs to another user and is not used; .*XDG_STATE_HOME") as refused:
        store.read()

    assert type(refused.value) is CredentialError  # users know this name, and an agent tells it through its pipe
