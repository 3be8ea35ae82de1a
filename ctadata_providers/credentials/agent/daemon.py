"""The process of an agent: `agent.start` runs this module, which detaches itself and keeps a token file fresh.

Settings come on standard input, because others can read argv. What became of the first token goes to standard output.
"""

import json
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from ctadata_providers.config.folders import ForeignFolderError, make_own
from ctadata_providers.credentials.agent.errand import Errand
from ctadata_providers.credentials.agent.files import AgentFiles, Lock, held
from ctadata_providers.credentials.agent.keeper import Keeper
from ctadata_providers.credentials.resolve import renewable
from ctadata_providers.errors import CredentialError, CtaError

logger = logging.getLogger(f"{__package__}.daemon")  # this module runs as __main__

LOG_BYTES = 1 << 20
"""How large the log grows before it becomes the old one (`.1`), of which there is one."""


class _Ended(KeyboardInterrupt):
    """SIGTERM or SIGINT: unwinds from wherever the agent waits."""


def main() -> int:
    """Detach from whoever started us, and keep the file fresh until SIGTERM.

    Returns:
        The exit code: 0 ended by a signal, 1 an error, which is told to who started us.
    """
    errand = Errand.from_json(sys.stdin.read())
    answer = _detach()
    files = AgentFiles.of(errand.config)
    try:
        with _log(files.log):
            return _serve(errand, files, answer)
    except OSError as error:
        return _failed(answer, _unwritable(error))


def _serve(errand: Errand, files: AgentFiles, answer: TextIO) -> int:
    """Be the agent, and return the exit code."""
    try:
        with held(files.lock) as lock:
            _take_signals()
            _run(lock, files, errand, answer)
    except _Ended:
        logger.info("ended by a signal")
    except CtaError as error:
        return _failed(answer, error)
    except OSError as error:
        return _failed(answer, _unwritable(error))
    except Exception as error:  # noqa: BLE001  # the last resort: where it was, not what it said (maybe a secret)
        logger.critical("unexpected %s %s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        return 1
    return 0


def _run(lock: Lock, files: AgentFiles, errand: Errand, answer: TextIO) -> None:
    """Get the first token, say so, and go on until a signal."""
    logger.info("started for %s", errand.target)
    source = renewable(errand.config)
    if source is None:
        raise CredentialError("there is nothing to get new tokens from", remedy="ctadata login")
    keeper = Keeper(source, errand.target)
    facts = {"pid": os.getpid(), "since": time.time(), "token_file": str(errand.target)}
    try:
        keeper.refresh()
        told = keeper.progress
        files.write_state({**facts, **asdict(told)})
        if not _tell(answer, facts):
            logger.warning("ended, because whoever started this agent has gone before it was ready")
            return
        while lock.is_ours():
            pause = keeper.step()
            if keeper.progress != told:
                told = keeper.progress
                with suppress(OSError):  # a full disk; where it concerns the token file, the log tells it
                    files.write_state({**facts, **asdict(told)})
            time.sleep(pause)
        logger.warning("ended, because %s was removed: nobody could see this agent any more", lock.path)
    finally:
        if errand.withdraw:
            keeper.withdraw()
        with suppress(OSError):
            files.state.unlink(missing_ok=True)


def _detach() -> TextIO:
    """Leave the process group, the terminal and the files of whoever started us.

    Returns:
        Where to tell it what became of the first token.
    """
    sys.stdout.flush()
    if os.fork():
        os._exit(0)  # whoever started us waits for this process only, and needs not care for us
    os.chdir("/")
    os.umask(0o077)
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
    return answer


def _take_signals() -> None:
    """Unwind on the first SIGTERM or SIGINT; no terminal hangs up on us."""

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Ended

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)


@contextmanager
def _log(path: Path) -> Iterator[None]:
    """Write the log of this package into a file that only we can read."""
    make_own(path.parent)
    handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    lines = LineFormatter(f"%(asctime)sZ {socket.gethostname()} {os.getpid()} %(levelname)s %(message)s")
    lines.converter = time.gmtime
    handler.setFormatter(lines)
    root = logging.getLogger("ctadata_providers")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


class LineFormatter(logging.Formatter):
    """A formatter whose lines hold no control characters: some of a message is a server's."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in super().format(record))


def _failed(answer: TextIO, error: CtaError) -> int:
    """Tell whoever started us why we end."""
    logger.error("ended: %s", error)
    _tell(
        answer,
        {"error": type(error).__name__, "message": error.message, "path": error.path, "remedy": error.remedy},
    )
    return 1


def _unwritable(error: OSError) -> CtaError:
    """Return what a file that cannot be written means to the user."""
    where = error.filename or "a file"
    if isinstance(error, ForeignFolderError):
        return CtaError(
            f"the folder {where} belongs to somebody else: no agent keeps its files there",
            path=where,
            remedy="set XDG_STATE_HOME to a folder of your own",
        )
    remedy = "make room there, or name another place (--token-file, XDG_STATE_HOME)"
    return CtaError(f"cannot write {where}: {error.strerror}", path=error.filename, remedy=remedy)


def _tell(answer: TextIO, facts: dict[str, Any]) -> bool:
    """Answer, once; tell whether somebody still listens."""
    try:
        with answer:
            answer.write(json.dumps(facts))
    except BrokenPipeError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
