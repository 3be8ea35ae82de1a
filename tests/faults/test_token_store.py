"""One login for many processes: they ask the issuer once for each token, and none is killed by another's end."""

import errno
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ctadata_providers import Config, CredentialError, TransientError
from ctadata_providers.credentials.oidc import renewal, sessions
from ctadata_providers.credentials.oidc.store import Store, StoredSession
from ctadata_providers.testing import FakeCta
from tests.faults.children import finish, wait_until

logger = logging.getLogger(__name__)

PROCESSES = 12
TOKEN_LIFE = 10.0

PRELUDE = """
import http.client, json, os, signal, ssl, sys, threading, time
from urllib.parse import urlsplit
from ctadata_providers import Config, CredentialError, TransientError
from ctadata_providers.credentials.oidc import wire as oidc_http
from ctadata_providers.credentials.oidc import renewal
from ctadata_providers.credentials.oidc import sessions
from ctadata_providers.credentials.oidc import store
config = Config(**json.loads(os.environ.pop("TEST_SETTINGS")))
"""

GETS = """
# Forked, so that the libraries are loaded once: twelve interpreters would be half of the time of this test.
def work(seconds, result):
    door = urlsplit(config.door_url)
    context = ssl.create_default_context(cafile=str(config.ca_path))
    connection = http.client.HTTPSConnection(door.hostname, door.port, context=context, timeout=20)
    session, end = sessions.open_session(config), time.monotonic() + seconds
    gets, slowest, errors, tokens = 0, 0.0, [], set()
    while time.monotonic() < end:
        begun = time.monotonic()
        try:
            token = session()
        except (CredentialError, TransientError) as error:
            errors.append(str(error))
        else:
            slowest = max(slowest, time.monotonic() - begun)
            gets += 1
            tokens.add(hash(token.value))
            connection.request("OPTIONS", "/", headers={"Authorization": "Bearer " + token.value})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                errors.append(f"HTTP {answer.status}")
        time.sleep(0.2)
    connection.close()
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()
    os.write(result, (json.dumps([gets, slowest, errors, len(tokens)]) + "\\n").encode())

reading, writing = os.pipe()
children = []
for number in range(int(sys.argv[2])):
    child = os.fork()
    if not child:
        try:
            work(float(sys.argv[1]), writing)
        finally:
            os._exit(0)
    children.append(child)
os.close(writing)
for child in children:
    os.waitpid(child, 0)
with open(reading) as results:
    print(results.read())
"""


def start(program: str, config: Mapping[str, Any], *arguments: object) -> subprocess.Popen[str]:
    """Start a program that has a `config`, which does not go through argv."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(program), *map(str, arguments)],
        env={**os.environ, "TEST_SETTINGS": json.dumps(dict(config), default=str)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def centre() -> Iterator[FakeCta]:
    """A data centre with an issuer."""
    with FakeCta() as cta:
        yield cta


@dataclass(frozen=True)
class Login:
    """A login that the processes of a test share."""

    cta: FakeCta
    settings: dict[str, Any]
    store: Store

    def stored(self) -> StoredSession:
        session = self.store.read()
        assert session is not None
        return session


@pytest.fixture
def login(centre: FakeCta) -> Login:
    """A user who has logged in; nothing of that is counted."""
    centre.reset()
    centre.issuer.configure(interval=0, token_lifetime=TOKEN_LIFE)
    settings = centre.oidc_settings()
    config = Config(**settings)
    centre.issuer.approve_next()
    sessions.log_in(config, None, lambda grant: None, sleep=lambda seconds: None)
    centre.issuer.clear_requests()
    return Login(centre, settings, Store(sessions.account_of(config)))


@pytest.mark.parametrize("seconds", [15, pytest.param(45, marks=pytest.mark.soak)])
def test_twelve_processes_share_ten_second_tokens_without_an_error(login: Login, seconds: int) -> None:
    done = start(GETS, login.settings, seconds, PROCESSES)
    out, err = finish(done, seconds + 30)
    results = [json.loads(line) for line in out.split("\n") if line]
    gets = sum(result[0] for result in results)
    slowest = max(result[1] for result in results)
    refreshes = len(login.cta.issuer.grants("refresh_token"))
    logger.info("%s gets, %s refreshes, slowest %.3f s", gets, refreshes, slowest)

    assert err == ""
    assert [result[2] for result in results] == [[]] * PROCESSES
    assert gets > PROCESSES * seconds
    # A token is renewed when 25 to 35 % of its life are left, so a token lives for 6.5 s at least.
    assert seconds // TOKEN_LIFE <= refreshes <= seconds / 6.5 + 1
    assert login.cta.issuer.revoked_families == []
    assert slowest < 2.0


# kill -9

STEPS = """
# Each line that runs in these functions is a step; a child kills itself before the one that it is told.
WATCHED = {"_exchanged", "lock", "_acquired", "reserve", "_replace", "_sync_folder", "save", "renewed", "with_answer"}
FILES = (renewal.__file__, store.__file__)

def die_at(step):
    count = 0
    def trace(frame, event, argument):
        nonlocal count
        if event == "line":
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    return lambda frame, event, argument: (
        trace if frame.f_code.co_name in WATCHED and frame.f_code.co_filename in FILES else None
    )

for line in sys.stdin:
    child = os.fork()
    if not child:
        try:
            threading.settrace(die_at(int(line)))
            sessions.refresh(config)
        finally:
            os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_a_kill_at_any_step_of_a_refresh_leaves_the_old_or_the_new_session(login: Login) -> None:
    issuer, blank = login.cta.issuer, login.stored()
    left: list[str] = []
    with start(STEPS, login.settings) as killer:
        assert killer.stdin is not None
        assert killer.stdout is not None
        for step in range(1, 200):
            tokens = issuer.tokens()
            old = replace(blank, access_token=tokens["access_token"], refresh_token=tokens["refresh_token"])
            login.store.save(old)
            issuer.clear_requests()
            killer.stdin.write(f"{step}\n")
            killer.stdin.flush()
            end = killer.stdout.readline().strip()
            if end == "0":
                break
            new = login.stored()
            left.append("old" if new == old else "new")
            asked = bool(issuer.grants("refresh_token"))

            assert end == f"-{signal.SIGKILL}"
            assert login.store.path.stat().st_mode & 0o777 == 0o600
            # Where the answer of the issuer is on the disk the session goes on; where it was lost, the session says so.
            if new != old:
                assert sessions.refresh(Config(**login.settings)).value not in (old.access_token, new.access_token)
            elif asked:
                with pytest.raises(CredentialError, match="log in again"):
                    sessions.refresh(Config(**login.settings))
        killer.stdin.close()

    assert end == "0"
    assert {"old", "new"} == set(left)
    assert left == sorted(left, reverse=True)
    assert len(left) > 30
    logger.info("%s steps, the session is the old one after %s", len(left), left.count("old"))


# SIGTERM

REFRESH = """
print("ready", flush=True)
print(sessions.refresh(config).value[-8:], flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_question_and_answer_waits_until_the_answer_is_kept(
    login: Login, number: signal.Signals
) -> None:
    old = login.stored()
    with login.cta.issuer.fault("stall", path="/**/token", seconds=0.5) as stalled:
        child = start(REFRESH, login.settings)
        wait_until(lambda: stalled.hits)
        child.send_signal(number)
        out, _ = finish(child)
    new = login.stored()

    assert child.returncode == -number
    assert out == "ready\n"
    assert new.access_token != old.access_token
    assert sessions.refresh(Config(**login.settings)).value != new.access_token
    assert login.cta.issuer.revoked_families == []


IN_A_THREAD = """
def end(number, frame):
    raise SystemExit(3)

signal.signal(signal.SIGTERM, end)  # as the command line has it
threading.Thread(target=sessions.refresh, args=(config,), daemon=True).start()
print("ready", flush=True)
time.sleep(60)
"""


def test_a_program_that_ends_waits_for_the_refresh_of_its_daemon_thread(login: Login) -> None:
    old = login.stored()
    with login.cta.issuer.fault("stall", path="/**/token", seconds=0.5) as stalled:
        child = start(IN_A_THREAD, login.settings)
        wait_until(lambda: stalled.hits)
        child.send_signal(signal.SIGTERM)
        finish(child)

    assert child.returncode == 3
    assert login.stored().access_token != old.access_token


# Rejected tokens

REJECTED = """
session = sessions.open_session(config)
rejected = session()
gate_reading, gate_writing = os.pipe()
reading, writing = os.pipe()
for number in range(8):
    if not os.fork():
        try:
            os.close(gate_writing)
            os.read(gate_reading, 1)  # ends for all at once
            try:
                said = str(hash(session.renew(rejected).value))
            except (CredentialError, TransientError) as error:
                said = type(error).__name__
            os.write(writing, (said + "\\n").encode())
        finally:
            os._exit(0)
os.close(gate_writing)
os.close(writing)
with open(reading) as results:
    print(results.read())
"""


def test_eight_processes_whose_token_is_rejected_ask_once(login: Login) -> None:
    out, err = finish(start(REJECTED, login.settings))

    assert err == ""
    assert len(out.split()) == 8
    assert len(set(out.split())) == 1
    assert len(login.cta.issuer.grants("refresh_token")) == 1
    assert login.cta.issuer.revoked_families == []


def test_a_login_that_has_ended_is_asked_about_once_by_eight_processes(login: Login) -> None:
    login.cta.issuer.end_sessions()
    out, err = finish(start(REJECTED, login.settings))

    assert err == ""
    assert out.split() == ["CredentialError"] * 8
    assert len(login.cta.issuer.grants("refresh_token")) == 1


def test_a_provider_that_fails_is_asked_once_by_eight_processes(login: Login) -> None:
    # The pause after a failure follows the life of the token: 0.5 s of it would be too few on a busy machine.
    login.store.save(replace(login.stored(), expires_at=login.stored().obtained_at + 3600))
    with login.cta.issuer.fault("server-error", path="/**/token"):
        out, err = finish(start(REJECTED, login.settings))

    assert err == ""
    assert out.split() == ["TransientError"] * 8
    assert len(login.cta.issuer.grants("refresh_token")) == 1


HOLD_WITHOUT_FLOCK = """
import errno, fcntl
def none(descriptor, operation):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
fcntl.flock = none
with store.Store(sessions.account_of(config)).lock(patience=0):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_lock_without_flock_that_a_kill_leaves_behind_says_how_to_end_it(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    finish(start(HOLD_WITHOUT_FLOCK, login.settings))
    monkeypatch.setattr(fcntl, "flock", none)
    monkeypatch.setattr(renewal, "LOCK_PATIENCE", 0.1)
    with pytest.raises(
        TransientError, match=r"does not come to an end; try again later; if it was killed: rm "
    ) as told:
        sessions.refresh(Config(**login.settings))
    subprocess.run(["sh", "-c", str(told.value.remedy).partition(": ")[2]], check=True)

    assert sessions.refresh(Config(**login.settings)).value
