"""How long a cancelled transfer takes to end, in each state that it can be in.

Cancelled as Ctrl-C does it: a signal's handler raises in the thread that waits.
"""

import contextlib
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import FrameType

from benchmarks import silent
from benchmarks.programs import CannotRun, Usage
from benchmarks.runner import Entry, Goal, Results, Scenario
from ctadata_providers import Config, CtaClient, FileInfo

_GOAL = 0.2
_AFTER = 0.3
"""Seconds until the signal: by then a transfer on loopback is in the state that is meant."""
_UPLOADED = 64 * 2**20
_Port = Callable[[], AbstractContextManager[int]]
_Act = Callable[[CtaClient, Path], object]


class _CancelError(Exception):
    """Raised by the signal's handler, with the time."""


def cancel(folder: Path) -> Scenario:
    """Cancel transfers and measure until the call has ended."""
    answering = silent.answering
    states: dict[str, tuple[str, _Port, _Act]] = {
        "connecting": ("http", silent.black_hole, _download),
        "in the TLS handshake": ("https", partial(answering, silent.say_nothing), _download),
        "waiting for a first byte": ("http", partial(answering, silent.say_nothing), _download),
        "in a body that stalls": ("http", partial(answering, silent.stop_in_the_body), _download),
        "in a body that flows": ("http", partial(answering, silent.flow), _download),
        "waiting to try again": ("http", partial(answering, silent.come_back_later), _download),
        "in one of several downloads": ("http", partial(answering, silent.say_nothing), _download_many),
        "in the body of an upload": ("http", partial(answering, silent.stop_reading), partial(_upload, folder)),
        "after the body of an upload": ("http", partial(answering, silent.never_store), partial(_upload, folder)),
        "in an upload, server gone": ("http", lambda: answering(silent.FallSilent()), partial(_upload, folder)),
        "waiting for a listing": ("http", partial(answering, silent.say_nothing), _list),
    }
    entries = [
        Entry(name=name, run=partial(_latency, folder, scheme, port, act))
        for name, (scheme, port, act) in states.items()
    ]
    return Scenario(
        key="cancel",
        title="Cancel, until the call has ended",
        entries=entries,
        note="From the signal, whose handler raises in the waiting thread as Ctrl-C does, to the exception in the"
        " caller. Nothing may stand under the name of the target.",
        goals=[Goal(text="slowest state, s", wanted=_GOAL, value=_slowest, at_most=True)],
    )


def _latency(folder: Path, scheme: str, open_port: _Port, act: _Act) -> Usage:
    target = folder / "cancelled.bin"
    cpu = time.process_time()
    with open_port() as port, CtaClient(Config(door_url=f"{scheme}://127.0.0.1:{port}")) as client:
        fired, ended = _cancelled(lambda: act(client, target))
    for part in folder.glob(".cancelled*.ctapart"):
        part.unlink()  # the next run would go on with it
    left = [path.name for path in folder.iterdir() if "cancelled" in path.name]
    if left:
        raise CannotRun(f"a cancelled transfer has left {', '.join(left)}")
    return Usage(seconds=ended - fired, cpu=time.process_time() - cpu, peak=0)


def _cancelled(act: Callable[[], object]) -> tuple[float, float]:
    """Begin an act, cancel it; return when that was and when the act had ended."""
    fired = 0.0

    def fire(number: int, frame: FrameType | None) -> None:
        nonlocal fired
        fired = time.perf_counter()
        raise _CancelError

    before = signal.signal(signal.SIGALRM, fire)
    try:
        signal.setitimer(signal.ITIMER_REAL, _AFTER)
        with contextlib.suppress(_CancelError):
            act()
            raise CannotRun("it ended before it was cancelled")
        return fired, time.perf_counter()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _download(client: CtaClient, target: Path) -> None:
    client.download("/file", target, info=_info("/file"))


def _download_many(client: CtaClient, target: Path) -> None:
    files = [(_info(f"/file{number}"), target.with_name(f"cancelled{number}.bin")) for number in range(8)]
    for _, outcome in client.download_many(files):
        outcome.result()


def _upload(folder: Path, client: CtaClient, target: Path) -> None:
    source = folder / "source.bin"
    with source.open("wb") as file:
        file.truncate(_UPLOADED)
    client.upload(source, "/file")


def _list(client: CtaClient, target: Path) -> None:
    list(client.list_dir("/folder"))


def _info(path: str) -> FileInfo:
    return FileInfo(path, is_dir=False, size=silent.SIZE)


def _slowest(results: Results) -> float | None:
    rows = list(results.values())
    return max(row.median for row in rows) if all(row.runs for row in rows) else None
