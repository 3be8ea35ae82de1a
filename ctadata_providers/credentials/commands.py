"""Tokens that a program prints: run without a shell, never for long, never two at a time."""

import functools
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from ctadata_providers.credentials.tokens import LONGEST_TOKEN, Token
from ctadata_providers.errors import CredentialError
from ctadata_providers.forks import fork_safe_lock

TIME_OUT = 15.0
"""Seconds that a program may take."""
FRESH_SHARE = 0.25
"""A token is asked for anew when this share of its life is left."""
OPAQUE_LIFE = 60.0
"""Seconds for which a token is kept that does not tell when it ends."""
FAILURE_PAUSE = 20.0
"""Seconds for which a program that failed is not run again."""
_SHORTEST_KEEP = 1.0
_LONGEST_MESSAGE = 200
_TOKEN_LIKE = re.compile(
    r"[\w+~=-]{20,}|\beyJ|bearer\s|(pass\w*|secret|token|code|key)\s*=|https?://\S*[?@]", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Kept:
    token: Token
    until: float


class CachedToken:
    """Provides what a slow source gives, asked by one thread at a time and not before it is needed.

    A source that fails while its last token still lives is no error: that token is given. After a failure the source
    is left alone for a while, so that sixteen threads do not wait for it one after the other.

    Args:
        ask: Returns a token, another one than the rejected if one is given; raises CredentialError.
        clock: Gives the time, epoch seconds.
    """

    def __init__(self, ask: Callable[[Token | None], Token], *, clock: Callable[[], float] = time.time) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = fork_safe_lock()
        self._kept: _Kept | None = None
        self._failure: tuple[float, CredentialError] | None = None

    def __call__(self) -> Token:
        """Return a token, after asking for it if need be.

        Raises:
            CredentialError: When the source gives none.
        """
        token = self.ready()
        if token is not None:
            return token
        with self._lock:
            return self.ready() or self._next()

    def ready(self) -> Token | None:
        """Return the token that is kept, None when there is none or another should be asked for."""
        kept = self._kept
        return kept.token if kept is not None and self._clock() < kept.until else None

    def renew(self, rejected: Token) -> Token:
        """Return another token than the rejected one.

        Raises:
            CredentialError: When the source gives no other.
        """
        with self._lock:
            if self._kept is not None and self._kept.token.value != rejected.value:
                return self._kept.token
            token = self._asked(rejected)
        if token.value == rejected.value:
            raise CredentialError(
                f"{token.source} gives the same token again",
                remedy="log in anew with the program that it comes from",
            )
        return token

    def _next(self) -> Token:
        """Ask for a token; a failure is none while the one that is kept lives."""
        kept = self._kept
        try:
            return self._asked(None)
        except CredentialError:
            if kept is None or kept.token.expires_at is None or kept.token.dead(self._clock()):
                raise
            self._kept = _Kept(kept.token, min(self._clock() + FAILURE_PAUSE, kept.token.expires_at))
            return kept.token

    def _asked(self, rejected: Token | None) -> Token:
        if self._failure is not None and time.monotonic() < self._failure[0]:
            failed = self._failure[1]
            raise CredentialError(failed.message, path=failed.path, remedy=failed.remedy)
        try:
            token = self._ask(rejected)
        except CredentialError as error:
            self._failure = (time.monotonic() + FAILURE_PAUSE, error)
            raise error.with_traceback(None) from None  # its frames hold arguments and what was printed
        self._failure = None
        self._kept = _Kept(token, _keep_until(token, self._clock()))
        return token


def _keep_until(token: Token, now: float) -> float:
    """Return until when a token needs no successor; one that came near its end is not asked for all the time."""
    if token.expires_at is None:
        return now + OPAQUE_LIFE
    life = life_of(token, now)
    left = token.expires_at - now
    return max(token.expires_at - FRESH_SHARE * life, now + left / 2, now + _SHORTEST_KEEP)


def life_of(token: Token, now: float) -> float:
    """Return the whole life of a token in seconds, or what is left where it does not tell its begin; 0 if nothing."""
    if token.expires_at is None:
        return 0.0
    return max(token.expires_at - (now if token.issued_at is None else token.issued_at), 0.0)


def command_token(argv: tuple[str, ...]) -> CachedToken:
    """Return the provider of what a program prints, one for all clients of a process."""
    return _shared(os.getpid(), argv)


@functools.cache
def _shared(pid: int, argv: tuple[str, ...]) -> CachedToken:
    # The arguments are not told: they may be secret.
    source = f"token_command {argv[0]}"
    return CachedToken(lambda rejected: Token.parse(run(argv, source=source), source=source))


def run(argv: Sequence[str], *, source: str, seconds: float = TIME_OUT, remedy: str | None = None) -> str:
    """Return what a program prints, at most as much as a token can be long.

    It gets no input. When it takes too long it is killed with its children.

    Args:
        argv: The program and its arguments.
        source: What it is, for messages.
        seconds: How long it may take.
        remedy: What the user can do when it fails.

    Raises:
        CredentialError: When it cannot be run, takes too long, fails, or prints too much.
    """
    remedy = remedy or "run it by hand to see what is wrong"
    try:
        process = subprocess.Popen(  # noqa: S603 (the user's own program, without a shell)
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name or arguments cannot be used"
        message = f"cannot run {argv[0]} for {source}: {reason}"
        raise CredentialError(message, remedy="check that it is installed") from error
    with process:
        try:
            out, said = _collect(process, time.monotonic() + seconds)
        except TimeoutError as error:
            raise CredentialError(f"{source} gave no token within {seconds:.0f} s", remedy=remedy) from error
        finally:
            _end(process)
    if process.returncode:
        raise CredentialError(f"{source} failed with code {process.returncode}{_told(said, out)}", remedy=remedy)
    if len(out) > LONGEST_TOKEN:
        raise CredentialError(f"{source} prints more than a token", remedy=remedy)
    return out.decode("ascii", "replace")


def _collect(process: "subprocess.Popen[bytes]", deadline: float) -> tuple[bytes, bytes]:
    """Return what a program writes to its two streams until it has ended, cut where no token is as long.

    Raises:
        TimeoutError: When it has not ended in time.
    """
    texts: dict[IO[bytes], bytearray] = {s: bytearray() for s in (process.stdout, process.stderr) if s is not None}
    with selectors.DefaultSelector() as selector:
        for stream in texts:
            selector.register(stream, selectors.EVENT_READ, texts[stream])
        while selector.get_map():
            ended = process.poll() is not None
            ready = selector.select(0 if ended else min(0.1, max(deadline - time.monotonic(), 0)))
            if time.monotonic() > deadline:
                raise TimeoutError
            if ended and not ready:
                break  # what it has left running in the background holds its streams open
            for key, _ in ready:
                piece = os.read(key.fd, LONGEST_TOKEN)
                key.data.extend(piece[: LONGEST_TOKEN + 1 - len(key.data)])
                if not piece:
                    selector.unregister(key.fileobj)
    try:
        process.wait(max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    out, said = texts.values()
    return bytes(out), bytes(said)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a program that still runs, with its children: they are a process group of their own."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _told(said: bytes, out: bytes) -> str:
    """Return the last line that a program wrote to its standard error, unless it could hold a piece of a secret."""
    lines = said.decode("utf-8", "replace").split("\n")
    line = next((text.strip() for text in reversed(lines) if text.strip()), "")
    words = [word for word in out.decode("utf-8", "replace").split() if len(word) >= 4]
    if not line:
        return ""
    if len(line) > _LONGEST_MESSAGE or _TOKEN_LIKE.search(line) or any(word in line for word in words):
        return " (what it said is not shown: it may hold a secret)"
    return ": " + "".join(c if c.isprintable() else " " for c in line)
