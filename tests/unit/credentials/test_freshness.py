import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from ctadata_providers import CredentialError, TransientError
from ctadata_providers.credentials import Token
from ctadata_providers.credentials.oidc.freshness import FreshToken, Held

LIFE = 1000.0
BORN = 1_000_000.0


class Issued:
    """A source with numbered tokens: at each time there is one, and renewing gives the next.

    Attributes:
        now: What the clock says.
        number: Of the present token.
        asked: How often the next was asked for, and whether that was allowed to wait.
        error: What asking raises.
        busy: Whether another process is at it.
    """

    def __init__(self) -> None:
        self.now = BORN
        self.number = 1
        self.born = BORN
        self.asked: list[bool] = []
        self.error: Exception | None = None
        self.busy = False
        self.looked = 0
        self.meanwhile: Callable[[], object] = lambda: None

    def clock(self) -> float:
        return self.now

    def held(self) -> Held:
        return Held(Token.parse(f"token-{self.number}", source="test"), self.born, self.born + LIFE)

    @property
    def reads_only(self) -> bool:
        return False

    def stored(self) -> Held:
        self.looked += 1
        return self.held()

    def renewed(self, old: Token | None, wanted: threading.Event | None) -> Held | None:
        self.asked.append(wanted is not None)
        self.meanwhile()
        if self.error:
            raise self.error
        if self.busy:
            return None
        if old is None or old.value == f"token-{self.number}":
            self.number += 1
            self.born = self.now
        return self.held()


@pytest.fixture
def issued() -> Issued:
    return Issued()


@pytest.fixture
def fresh(issued: Issued) -> FreshToken:
    return FreshToken(issued, clock=issued.clock)


def settle() -> None:
    for thread in threading.enumerate():
        if thread.name == "ctadata-credential":
            thread.join()


def test_nothing_is_asked_before_a_token_is_wanted(issued: Issued, fresh: FreshToken) -> None:
    assert fresh.ready() is None
    assert issued.looked == 0


def test_a_young_token_is_ready_without_a_look_at_the_store(issued: Issued, fresh: FreshToken) -> None:
    first = fresh()
    looked = issued.looked
    issued.now += 0.6 * LIFE

    assert [fresh.ready() for _ in range(100)] == [first] * 100
    assert fresh() is first
    assert (issued.looked, issued.asked) == (looked, [])


def test_a_token_is_renewed_in_the_background_when_25_to_35_percent_of_its_life_are_left(
    issued: Issued, fresh: FreshToken
) -> None:
    fresh()
    issued.now += 0.64 * LIFE
    early = fresh.ready()
    settle()
    asked_early = list(issued.asked)
    issued.now += 0.12 * LIFE
    late = fresh.ready()
    settle()
    after = fresh.ready()

    assert early == late
    assert (asked_early, issued.asked) == ([], [False])
    assert after is not None
    assert after.value == "token-2"


def test_not_all_processes_renew_at_the_same_moment(issued: Issued) -> None:
    begins = set()
    for _ in range(20):
        fresh = FreshToken(issued, clock=issued.clock)
        issued.now = issued.born
        fresh()
        issued.error = TransientError("not now")
        for part in range(640, 770, 5):
            issued.now, issued.asked = issued.born + part, []
            fresh.ready()
            settle()
            if issued.asked:
                begins.add(part)
                break

    assert len(begins) > 5
    assert min(begins) >= 650
    assert max(begins) <= 755


def test_one_background_refresh_at_a_time(issued: Issued, fresh: FreshToken) -> None:
    fresh()
    go_on = threading.Event()
    issued.meanwhile = lambda: go_on.wait(10)
    issued.now += 0.8 * LIFE
    tokens = [fresh.ready() for _ in range(50)]
    go_on.set()
    settle()

    assert issued.asked == [False]
    assert len(set(map(id, tokens))) == 1


def test_a_background_refresh_that_a_daemon_thread_began_is_waited_for_when_the_program_ends(
    issued: Issued, fresh: FreshToken
) -> None:
    fresh()
    ends_with_us: list[bool] = []
    issued.meanwhile = lambda: ends_with_us.append(threading.current_thread().daemon)
    issued.now += 0.8 * LIFE
    asking = threading.Thread(target=fresh.ready, daemon=True)  # as that which drives all transfers
    asking.start()
    asking.join()
    settle()

    assert ends_with_us == [False]


def test_at_ten_percent_who_wants_a_token_waits_for_the_next(issued: Issued, fresh: FreshToken) -> None:
    fresh()
    issued.now += 0.91 * LIFE

    assert fresh.ready() is None
    assert fresh().value == "token-2"
    assert issued.asked == [True]


def test_many_threads_that_wait_ask_once(issued: Issued, fresh: FreshToken) -> None:
    fresh()
    issued.now += 0.95 * LIFE
    values: list[str] = []
    threads = [threading.Thread(target=lambda: values.append(fresh().value)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert values == ["token-2"] * 16
    assert issued.asked == [True]


def test_a_failure_is_told_and_the_old_token_goes_on_until_its_end(
    issued: Issued, fresh: FreshToken, caplog: pytest.LogCaptureFixture
) -> None:
    first = fresh()
    issued.error = TransientError("the provider is away")
    issued.now += 0.95 * LIFE
    during = [fresh() for _ in range(10)]
    issued.now = issued.born + LIFE
    with pytest.raises(TransientError, match="is away"):
        fresh()
    issued.error = None

    assert during == [first] * 10
    assert issued.asked == [True, True]
    assert caplog.messages == ["the token is not renewed yet, and ends in 50 s: the provider is away"]
    assert fresh().value == "token-2"


def test_a_failure_in_the_background_is_repeated_later_and_later(issued: Issued, fresh: FreshToken) -> None:
    fresh()
    issued.error = TransientError("the provider is away")
    issued.now += 0.76 * LIFE
    tries = []
    for second in range(120):
        before = len(issued.asked)
        fresh.ready()
        settle()
        if len(issued.asked) > before:
            tries.append(second)
        issued.now += 1

    assert tries == [0, 5, 15, 35, 75]


def test_what_another_process_has_renewed_is_taken_without_asking(issued: Issued, fresh: FreshToken) -> None:
    fresh()
    issued.now += 0.8 * LIFE
    issued.number, issued.born = 2, issued.now
    fresh.ready()
    settle()
    taken = fresh.ready()

    assert taken is not None
    assert taken.value == "token-2"
    assert issued.asked == []


def test_while_another_process_is_at_it_the_old_token_goes_on(issued: Issued, fresh: FreshToken) -> None:
    first = fresh()
    issued.busy = True
    issued.now += 0.8 * LIFE
    for _ in range(10):
        fresh.ready()
        settle()

    assert fresh.ready() is first
    assert issued.asked == [False]


def test_a_rejected_token_is_replaced_once_however_many_say_so(issued: Issued, fresh: FreshToken) -> None:
    rejected = fresh()
    new = [fresh.renew(rejected).value for _ in range(5)]

    assert new == ["token-2"] * 5
    assert issued.asked == [True]
    assert fresh().value == "token-2"


def test_a_rejected_token_that_another_process_has_replaced_is_not_asked_for(issued: Issued, fresh: FreshToken) -> None:
    rejected = fresh()
    issued.number = 7

    assert fresh.renew(rejected).value == "token-7"
    assert issued.asked == []


def test_the_rejected_token_given_again_is_an_error() -> None:
    class Same(Issued):
        def renewed(self, old: Token | None, wanted: threading.Event | None) -> Held | None:
            return self.held()

    same = Same()
    fresh = FreshToken(same, clock=same.clock)
    with pytest.raises(CredentialError, match="gave the token again that was rejected"):
        fresh.renew(fresh())


def test_a_token_without_an_end_is_never_renewed_unless_it_is_rejected(issued: Issued) -> None:
    class Endless(Issued):
        def held(self) -> Held:
            return Held(Token.parse(f"token-{self.number}", source="test"), self.born, None)

    endless = Endless()
    fresh = FreshToken(endless, clock=endless.clock)
    first = fresh()
    endless.now += 1e9

    assert fresh.ready() is first
    assert fresh.renew(first).value == "token-2"
    assert endless.asked == [True]


FORKED = """
import os, signal, time
from ctadata_providers.credentials import Token
from ctadata_providers.credentials.oidc.freshness import FreshToken, Held

class Source:
    reads_only = False

    def stored(self):
        return Held(Token.parse("token", source="test"), time.time(), None)

fresh = FreshToken(Source())
fresh._turn.acquire()  # as another thread would, in the middle of the fork
child = os.fork()
if not child:
    signal.alarm(10)
    os._exit(fresh().value != "token")
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_waits_for_no_thread_that_it_does_not_have() -> None:
    assert subprocess.run([sys.executable, "-c", FORKED], timeout=20).returncode == 0


TASK = """
import atexit, os, threading, time
from ctadata_providers.credentials import Token
from ctadata_providers.credentials.oidc.freshness import FreshToken, Held

class Slow:
    reads_only = False

    def stored(self):
        return Held(Token.parse("old", source="test"), time.time() - 80, time.time() + 20)

    def renewed(self, old, wanted):
        time.sleep(0.3)  # between the issuer's answer and its place on the disk
        os.write(1, b"kept\\n")
        return Held(Token.parse("new", source="test"), time.time(), time.time() + 100)

def use_and_end():
    FreshToken(Slow())()

use_and_end()
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join()
child = os.fork()
if not child:
    atexit._clear()  # as Airflow does it
    use_and_end()
    atexit._run_exitfuncs()
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_task_that_ends_without_its_interpreter_waits_for_a_renewal_under_way() -> None:
    done = subprocess.run([sys.executable, "-c", TASK], timeout=60, capture_output=True, check=True, text=True)

    assert done.stdout == "kept\nkept\n"


@pytest.mark.parametrize("act", [FreshToken.__call__, lambda fresh: fresh.renew(Token.parse("token-1", source="test"))])
def test_threads_that_waited_for_a_failure_share_it(
    act: Callable[[FreshToken], object], issued: Issued, fresh: FreshToken
) -> None:
    # Else the last of them would wait for the time-outs of all: 40 s each, where a stopped process holds the lock.
    fresh()
    issued.now += 2 * LIFE
    issued.error = TransientError("away")
    all_wait = threading.Event()
    issued.meanwhile = lambda: all_wait.wait(10)
    said: list[str] = []

    def work() -> None:
        with pytest.raises(TransientError) as failed:
            act(fresh)
        said.append(str(failed.value))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while sum(frame.f_code.co_name == "_in_turn" for frame in sys._current_frames().values()) < 7 or not issued.asked:
        time.sleep(0.01)
    all_wait.set()
    for thread in threads:
        thread.join()
    shared = len(issued.asked)
    with pytest.raises(TransientError):
        act(fresh)

    assert said == ["away"] * 8
    assert shared == 1
    assert len(issued.asked) == 2  # who comes later asks again
