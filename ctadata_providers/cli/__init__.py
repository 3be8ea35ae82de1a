"""The command line `ctadata`."""

import argparse
import atexit
import gc
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import TextIO

from ctadata_providers.cli import completion
from ctadata_providers.cli.output import Output, safe
from ctadata_providers.cli.parser import parse
from ctadata_providers.errors import ConfigError, CtaError

__all__ = ["act", "main"]

_SILENCE = logging.NullHandler()
"""Stays: what threads that nobody waits for still log after the end of a command would else go to stderr."""
_DONE, _FAILED, _USAGE = 0, 1, 2
_INTERRUPTED = 128 + signal.SIGINT
_NO_READER = 128 + signal.SIGPIPE
_TERMINATED = 128 + signal.SIGTERM
_SOON = 0.01
_SELDOM = 10_000
"""Objects after which garbage is looked for: Python's own 700 are made a hundred times before a command begins."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM: to be cleaned up after as after Ctrl-C, so that no part of a file stays behind."""


class _Interrupted(KeyboardInterrupt):
    """Ctrl-C.

    A class of its own: once a plain KeyboardInterrupt has passed an `exec`, as a lazy import may run one, CPython ends
    the process by SIGINT instead of our exit code, caught or not.
    """


def main(argv: Sequence[str] | None = None, *, run: Callable[[Sequence[str]], int] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments; default those of the process.
        run: Runs what they say; default as `ctadata` does.

    Returns:
        The exit code: 0 done, 1 an error, 2 wrong usage or setting, 130 interrupted, 141 nobody reads the output, 143
        ended by SIGTERM.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    # Errors of the usage itself are printed as it asks for.
    output = Output(as_json="--json" in arguments, debug="--debug" in arguments)
    atexit.register(gc.freeze)  # else all that was imported is looked through for garbage when the process ends: 20 ms
    often, *others = gc.get_threshold()
    gc.set_threshold(_SELDOM, *others)
    try:
        return _ended(partial(run or _run, arguments), output)
    finally:
        gc.set_threshold(often, *others)
        _let_go(sys.stdout)
        _let_go(sys.stderr)


def _ended(act: Callable[[], int], output: Output) -> int:
    """Do what was asked for, tell what went wrong, and return the exit code."""
    try:
        with _end_cleanly_on_signals():
            code = _exit_code_of(act)
            sys.stdout.flush()
            return code
    except _Terminated as end:
        return _told_if_it_says_more(end, output)
    except BrokenPipeError:
        return _NO_READER
    except KeyboardInterrupt as error:
        return _told(error, output, _INTERRUPTED)
    except ConfigError as error:
        return _told(error, output, _USAGE)
    except (CtaError, OSError) as error:
        return _told(error, output, _FAILED)
    except Exception as error:  # noqa: BLE001  # the last resort: one line for the user, the trace with --debug
        stop = _signal_behind(error)
        if isinstance(stop, _Terminated):
            return _told_if_it_says_more(stop, output)
        return _told(error, output, _FAILED) if stop is None else _told(stop, output, _INTERRUPTED)


def _exit_code_of(act: Callable[[], int]) -> int:
    try:
        return act()
    except SystemExit as end:  # --help, --version
        return end.code if isinstance(end.code, int) else _DONE


def _signal_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the signal that an error comes of, if any.

    Up to Python 3.11 whatever ends a `__set_name__` becomes a RuntimeError, and lazy imports call those of dataclasses.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error


def _told(error: BaseException, output: Output, code: int) -> int:
    """Return an exit code, which is the same where nobody can be told why."""
    with suppress(OSError):
        output.error(error)
    return code


def _told_if_it_says_more(stop: _Terminated, output: Output) -> int:
    """Return the exit code of SIGTERM, whose sender knows of it: nothing is told but how to go on."""
    return _told(stop, output, _TERMINATED) if hasattr(stop, "__notes__") else _TERMINATED


def _let_go(stream: TextIO) -> None:
    """Drop what cannot be written: it would be tried once more when the interpreter ends, with a code of its own."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _nowhere() -> TextIO:
    """Return what stands for a stream that was closed before the start; no file or connection gets its number then."""
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 (for as long as the process lives)


def _run(arguments: Sequence[str]) -> int:
    if arguments[:1] == [completion.REQUEST]:
        return completion.answer(arguments[1:])
    args = parse(arguments)
    from ctadata_providers.cli import (
        agent,
        certificate,
        commands,
        copies,
        copying,
        doctor,
        login,
        looking,
        proxy,
        syncing,
        token,
        trees,
        trials,
    )

    actions = {
        "list": commands.list_,
        "ls": commands.list_,
        "get": copies.get,
        "put": copies.put,
        "cp": copying.cp,
        "rm": commands.rm,
        "mv": commands.mv,
        "mkdir": commands.mkdir,
        "stat": commands.stat,
        "cat": looking.cat,
        "head": looking.head,
        "tree": trees.tree,
        "du": trees.du,
        "sync": syncing.sync,
        "verify": syncing.verify,
        "clean": syncing.clean,
        "login": login.login,
        "logout": login.logout,
        "whoami": doctor.whoami,
        "token show": token.show,
        "token refresh": login.refresh,
        "agent start": agent.start,
        "agent status": agent.status,
        "agent stop": agent.stop,
        "proxy create": proxy.create,
        "proxy info": proxy.info,
        "certificate upload": certificate.upload,
        "certificate status": certificate.status,
        "doctor": doctor.doctor,
        "sandbox": trials.sandbox,
        "demo": trials.demo,
        "completion": completion.completion,
        "get-token": token.print_token,
        "print-token": token.print_token,
        "start-agent": agent.start_agent,
        "upload-shared-certificate": certificate.upload,
        "upload-personal-certificate": certificate.upload,
        "stop-agent": agent.stop_agent,
    }
    return act(actions[args.command], args)


def act(action: Callable[[argparse.Namespace, Output], int], args: argparse.Namespace) -> int:
    """Do what was asked for, printing and logging as the arguments say; return the exit code."""
    output = Output(as_json=args.json, quiet=args.quiet, verbose=args.verbose, debug=args.debug)
    with _log(output):
        return action(args, output)


@contextmanager
def _end_cleanly_on_signals() -> Iterator[None]:
    """Unwind on SIGTERM as on Ctrl-C; an ignored Ctrl-C (`nohup`) stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set a handler
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise _Interrupted if number == signal.SIGINT else _Terminated("ended by SIGTERM")

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        with _never_ignored():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _never_ignored() -> Iterator[None]:
    """Raise a signal anew that came while Python ignores what is raised, as in a callback of its import system."""
    before = sys.unraisablehook
    again: list[threading.Timer] = []

    def take(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, _Interrupted | _Terminated):
            before(unraisable)
            return
        number = signal.SIGTERM if isinstance(unraisable.exc_value, _Terminated) else signal.SIGINT
        later = threading.Timer(_SOON, os.kill, (os.getpid(), number))  # here it would be ignored once more
        later.daemon = True
        later.start()
        again.append(later)

    sys.unraisablehook = take
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in again:
            timer.cancel()


@contextmanager
def _log(output: Output) -> Iterator[None]:
    """Show the log of this package on stderr: retries, from `-v` on what is done, from `-vv` on more of it."""
    silent = output.quiet or output.as_json
    levels = [logging.CRITICAL if silent else logging.WARNING, logging.INFO, logging.DEBUG]
    logger = logging.getLogger("ctadata_providers")
    handler = logging.StreamHandler()
    handler.setFormatter(_SafeFormatter("ctadata: %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.addHandler(_SILENCE)
    logger.setLevel(levels[min(output.verbose, 2)])
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        handler.setStream(io.StringIO())  # a thread that is about to write says nothing after our last line


class _SafeFormatter(logging.Formatter):
    """A formatter whose lines cannot act on a terminal: file names come from a server."""

    def format(self, record: logging.LogRecord) -> str:
        return safe(super().format(record))
