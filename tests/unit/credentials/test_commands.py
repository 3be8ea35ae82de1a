"""Programs that print tokens."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, ConfigError, CredentialError
from ctadata_providers.credentials import Renewable, Token
from ctadata_providers.credentials.commands import CachedToken, command_token, life_of, run
from tests.unit.credentials.machine import jwt

SECRET = "a-very-secret-token-0123456789"
NOW = 1_795_334_526.0


def shell(script: str) -> tuple[str, ...]:
    """Return a command that runs a shell script."""
    return ("/bin/sh", "-c", script)


class Clock:
    """A clock that stands."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Source:
    """A slow source: counts how often it is asked, and fails when told so."""

    def __init__(self, clock: Clock, *, life: float | None = 100.0) -> None:
        self.asked = 0
        self.failing = False
        self.life = life
        self._clock = clock

    def __call__(self, rejected: Token | None) -> Token:
        self.asked += 1
        if self.failing:
            raise CredentialError("the source is broken", remedy="mend it")
        times = {} if self.life is None else {"iat": self._clock(), "exp": self._clock() + self.life}
        text = jwt(**times, number=self.asked) if times else f"opaque-{self.asked}"
        return Token.parse(text, source="the source")


# Running


def test_a_program_runs_without_a_shell_and_without_input() -> None:
    assert run(("echo", "$HOME;", "a b"), source="x") == "$HOME; a b\n"
    assert run(shell("cat; echo done"), source="x") == "done\n"


@pytest.mark.parametrize("argv", [("/does/not/exist",), ("/etc/passwd",), ("nul\0",)])
def test_a_program_that_cannot_be_run_is_told(argv: tuple[str, ...]) -> None:
    with pytest.raises(CredentialError, match=r"cannot run .* for my command: .*; check that it is installed"):
        run(argv, source="my command")


@pytest.mark.parametrize("command", [f"'' --password {SECRET}", ["", SECRET], {"program": SECRET}])
def test_a_command_without_a_program_is_refused_and_not_shown(command: Any) -> None:
    with pytest.raises(ConfigError, match=r"setting token_command: .* give a program with its arguments") as told:
        Config(token_command=command)

    assert SECRET not in str(told.value)


def test_a_failing_program_is_told_with_its_last_line() -> None:
    with pytest.raises(CredentialError, match=r"my command failed with code 3: no such account; run it by hand"):
        run(shell("echo one >&2; printf 'no such\taccount\\n\\n' >&2; exit 3"), source="my command")


@pytest.mark.parametrize(
    "said",
    [
        f"cannot use {SECRET}",
        "token=short",
        "Authorization: Bearer x",
        "password = x",
        "at https://host/?code=1",
        "eyJhbG",
        "x " * 200,
    ],
)
def test_what_may_be_a_secret_is_not_told(said: str) -> None:
    with pytest.raises(CredentialError, match="what it said is not shown") as caught:
        run(shell(f"echo '{said}' >&2; exit 1"), source="my command")

    assert said.strip() not in str(caught.value)


def test_what_went_to_its_output_is_not_told_from_its_errors_either() -> None:
    with pytest.raises(CredentialError, match="not shown") as caught:
        run(shell("echo sesame; echo refused: sesame >&2; exit 1"), source="my command")

    assert "sesame" not in str(caught.value)


def test_a_program_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    begun = time.monotonic()
    with pytest.raises(CredentialError, match="gave no token within 0 s"):
        run(shell(f"sleep 60 & echo $! > {pid}; wait"), source="x", seconds=0.4)
    took = time.monotonic() - begun
    child = int(pid.read_text())
    status = Path(f"/proc/{child}/status")
    for _ in range(100):  # whoever inherits it has to notice its end
        if not status.exists() or "Z (zombie)" in status.read_text():
            break
        time.sleep(0.02)

    assert took < 5
    assert not status.exists() or "Z (zombie)" in status.read_text()


def test_a_child_that_stays_in_the_background_holds_nobody_up(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    begun = time.monotonic()
    out = run(shell(f"sleep 60 & echo $! > {pid}; echo token"), source="x")
    os.kill(int(pid.read_text()), signal.SIGKILL)

    assert out == "token\n"
    assert time.monotonic() - begun < 5


def test_a_program_that_prints_without_end_is_not_kept_in_memory() -> None:
    with pytest.raises(CredentialError, match="gave no token"):
        run(("yes", SECRET), source="x", seconds=0.3)
    with pytest.raises(CredentialError, match="more than a token"):
        run((sys.executable, "-c", "print('x' * 10_000_000)"), source="x")


def test_a_command_gives_its_token_and_one_provider_serves_the_process(tmp_path: Path) -> None:
    argv = shell(f"echo run >> {tmp_path / 'log'}; echo {SECRET}")
    provider = command_token(argv)
    with ThreadPoolExecutor(8) as pool:
        values = set(pool.map(lambda _: command_token(argv)().value, range(16)))

    assert isinstance(provider, Renewable)
    assert values == {SECRET}
    assert (tmp_path / "log").read_text() == "run\n"


def test_a_command_that_prints_no_token_is_told_without_its_arguments() -> None:
    with pytest.raises(CredentialError, match="does not hold a bearer token") as caught:
        command_token(("echo", "not a", SECRET))()

    assert SECRET not in str(caught.value)


# Keeping


def test_a_token_is_kept_until_a_quarter_of_its_life_is_left() -> None:
    clock = Clock()
    source = Source(clock)
    provider = CachedToken(source, clock=clock)
    before = provider.ready()
    first = provider()
    clock.now += 74
    kept = provider.ready()
    clock.now += 2

    assert before is None
    assert kept is first
    assert provider.ready() is None
    assert provider() is not first
    assert source.asked == 2


def test_an_opaque_token_is_kept_for_a_minute() -> None:
    clock = Clock()
    source = Source(clock, life=None)
    provider = CachedToken(source, clock=clock)
    first = provider()
    clock.now += 59
    kept = provider()
    clock.now += 2

    assert kept is first
    assert provider() is not first


def test_a_token_that_comes_near_its_end_is_not_asked_for_all_the_time() -> None:
    clock = Clock()
    asked = []

    def ask(rejected: Token | None) -> Token:
        asked.append(clock())
        return Token.parse(jwt(iat=NOW - 90, exp=NOW + 10), source="x")

    provider = CachedToken(ask, clock=clock)
    for _ in range(100):
        provider()
        clock.now += 0.1

    assert len(asked) <= 6


def test_a_failure_is_none_while_the_last_token_lives() -> None:
    clock = Clock()
    source = Source(clock)
    provider = CachedToken(source, clock=clock)
    first = provider()
    source.failing = True
    clock.now += 80
    kept = [provider() for _ in range(10)]

    assert set(kept) == {first}
    assert source.asked == 2


def test_a_failure_without_a_living_token_is_told_to_all_and_asked_once() -> None:
    clock = Clock()
    source = Source(clock)
    provider = CachedToken(source, clock=clock)
    provider()
    source.failing = True
    clock.now += 101

    def failed(_: int) -> bool:
        with pytest.raises(CredentialError, match="the source is broken; mend it"):
            provider()
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(failed, range(16)))
    assert source.asked == 2


def test_sixteen_threads_ask_a_stalled_source_once() -> None:
    asked, free = [], threading.Event()

    def ask(rejected: Token | None) -> Token:
        asked.append(1)
        free.wait(10)
        raise CredentialError("stalled")

    provider = CachedToken(ask)
    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(provider) for _ in range(16)]
        while not asked:
            time.sleep(0.001)
        free.set()
        errors = [future.exception(10) for future in waiting]

    assert all(isinstance(error, CredentialError) for error in errors)
    assert len(asked) == 1


def test_a_rejected_token_costs_one_question_however_many_ask() -> None:
    clock = Clock()
    source = Source(clock)
    provider = CachedToken(source, clock=clock)
    first = provider()
    with ThreadPoolExecutor(8) as pool:
        values = {token.value for token in pool.map(lambda _: provider.renew(first), range(8))}

    assert len(values) == 1
    assert first.value not in values
    assert source.asked == 2


def test_the_very_token_that_was_rejected_is_no_renewal() -> None:
    provider = CachedToken(lambda rejected: Token.parse(SECRET, source="my command"))
    with pytest.raises(CredentialError, match="my command gives the same token again") as caught:
        provider.renew(provider())

    assert SECRET not in str(caught.value)


FORKING = """
import os, threading
from ctadata_providers.credentials import Token
from ctadata_providers.credentials.commands import CachedToken
held, free, parent = threading.Event(), threading.Event(), os.getpid()
def ask(rejected):
    held.set()
    if os.getpid() == parent:
        free.wait(30)
    return Token.parse("x", source="x")
provider = CachedToken(ask)
thread = threading.Thread(target=provider)
thread.start()
held.wait(30)
child = os.fork()
if child == 0:
    os._exit(17 if provider().value == "x" else 1)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
free.set()
thread.join()
print(code)
"""


def test_a_child_process_does_not_wait_for_a_thread_of_its_parent() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING], capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout == "17\n"


def test_the_life_of_a_token_is_from_its_begin_where_it_tells() -> None:
    assert life_of(Token.parse(jwt(iat=NOW - 90, exp=NOW + 10), source="x"), NOW) == 100
    assert life_of(Token.parse(jwt(exp=NOW + 10), source="x"), NOW) == 10
    assert life_of(Token.parse(SECRET, source="x"), NOW) == 0
