"""Where fresh tokens come from: the session in the store and its refresh token, or a robot account.

One process asks the issuer for the next token, under a lock, and the others read it: a refresh token is good for one
use, and using it twice ends the login (RFC 9700, 4.14).
"""

import logging
import shlex
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import inf

from ctadata_providers.config import BUILT_IN_PROFILES, DEFAULT_PROFILE, Config
from ctadata_providers.credentials.oidc.client_secret import client_secret, given_secret
from ctadata_providers.credentials.oidc.freshness import Held, pause_after
from ctadata_providers.credentials.oidc.provider import Provider, TokenAnswer, named, refusal_of
from ctadata_providers.credentials.oidc.store import Store, StoredSession, account_of, origin_of
from ctadata_providers.credentials.tokens import CLOCK_LEEWAY, Token
from ctadata_providers.errors import ConfigError, CredentialError, CtaError, TransientError

logger = logging.getLogger(__name__)

LOCK_PATIENCE = 40.0
"""Seconds to wait for another process that renews; it may wait that long for a silent provider."""
READER_PATIENCE = 10.0
"""Seconds for which a process that only reads (`refresh = never`) waits for one that renews."""
READER_POLL = 0.1
FURTHEST_RETRY = 600.0
"""Seconds for which an issuer is left alone at most: what is further away was told by another clock."""


class StoredSource:
    """The tokens of a login: what is in the store, and what the issuer gives for its refresh token."""

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._store = Store(account_of(config))
        self._clock = clock

    @property
    def reads_only(self) -> bool:
        """Whether another process renews the session."""
        return self._config.refresh == "never"

    def stored(self) -> Held:
        """Return what the store holds."""
        return held_of(self._read(), self._store)

    def renewed(self, old: Token | None, wanted: threading.Event | None, *, forced: bool = False) -> Held | None:
        """Return the token after the old one; who comes first asks the issuer, the others find its answer."""
        if self.reads_only:
            return self._awaited(old, wanted)
        session = self._read()
        if session.access_token == (old and old.value):
            self._check_hopes(session, forced=forced)

        def done() -> bool:
            return (wanted is not None and wanted.is_set()) or self._read().access_token != (old and old.value)

        patience = 0.0 if wanted is None else LOCK_PATIENCE
        with self._store.lock(patience=patience, given_up=done) as held:
            session = self._read()
            if old is None or session.access_token != old.value:
                return held_of(session, self._store)
            if not held:
                if wanted is None:
                    return None
                raise busy(self._store)
            self._check_hopes(session, forced=forced)
            return held_of(self._exchanged(session), self._store)

    def _exchanged(self, session: StoredSession) -> StoredSession:
        """Ask the issuer, with the lock held; what it answers is on the disk before anybody uses it."""
        provider = provider_of(self._config, session, clock=self._clock)
        with self._store.reserve() as replace_stored:
            try:
                answer = provider.refresh(session.refresh_token or "")
            except CredentialError as error:
                if refusal_of(error) != "invalid_grant":
                    self._note(session, error)
                    raise error.with_traceback(None) from None  # its frames hold the refresh token
                return self._ended(session, error)
            except (TransientError, ConfigError) as error:
                self._note(session, error)
                if isinstance(error, TransientError):
                    raise error.with_traceback(None) from None
                # The issuer was the right one at the login: what answers now is a page about repairs.
                raise TransientError(error.message, path=session.issuer, remedy="try again later") from None
            new = with_answer(session, answer)
            replace_stored(new)
        logger.info("session %s: the token is renewed", self._store.account)
        return new

    def _ended(self, session: StoredSession, error: CredentialError) -> StoredSession:
        """Remember that the issuer has refused the refresh token, unless another one lies there by now.

        The lock should rule that out, but on some shared file systems locks hold on one node only.
        """
        now_there = self._read()
        if now_there.refresh_token != session.refresh_token:
            return now_there
        refused = replace(session, refused=True, failure=error.message)
        self._store.save(refused)
        raise self._over(refused) from None

    def _note(self, session: StoredSession, error: CtaError) -> None:
        """Tell the other processes that the issuer is to be left alone for some time."""
        failures = session.failures + 1
        life = session.expires_at - session.obtained_at if session.expires_at is not None else 3600.0
        pause = max(pause_after(failures, life), getattr(error, "retry_after", None) or 0.0)
        with suppress(CredentialError):
            self._store.save(replace(session, failure=error.message, failures=failures, retry_at=self._clock() + pause))

    def _check_hopes(self, session: StoredSession, *, forced: bool = False) -> None:
        """Make sure that the issuer may be asked.

        Raises:
            CredentialError: When it would refuse, as it has before.
            TransientError: When it has just failed.
        """
        if session.refused or session.refresh_token is None:
            raise self._over(session)
        pause = session.retry_at - self._clock()
        if 0 < pause < FURTHEST_RETRY and not forced:
            raise TransientError(
                session.failure or f"{session.issuer} is away",
                path=session.issuer,
                remedy=f"it is asked again in {pause:.0f} s",
                retry_after=pause,
            )

    def _awaited(self, old: Token | None, wanted: threading.Event | None) -> Held | None:
        """Return what another process has put into the store, within some time."""
        deadline = time.monotonic() + (0.0 if wanted is None else READER_PATIENCE)
        while True:
            session = self._read()
            if old is None or session.access_token != old.value:
                return held_of(session, self._store)
            if wanted is None:
                return None
            if time.monotonic() > deadline or session.refused:
                raise CredentialError(
                    f"nobody renews the session in {self._store.path}, and refresh = never",
                    path=self._store.path,
                    remedy="let the driver run, or ctadata agent start, or set refresh to auto (CTA_REFRESH)",
                )
            wanted.wait(READER_POLL)

    def _read(self) -> StoredSession:
        session = self._store.read()
        if session is None:
            raise CredentialError(
                f"nobody is logged in: there is no {self._store.path}",
                path=self._store.path,
                remedy=f"log in: {login_command(self._config)}",
            )
        ours = *named(self._config), origin_of(self._config.door_url)
        if (session.issuer, session.client_id, session.door_url) != ours:
            raise CredentialError(
                f"{self._store.path} is a session of another issuer, client or door",
                path=self._store.path,
                remedy=f"remove it and log in: {login_command(self._config)}",
            )
        return session

    def _over(self, session: StoredSession) -> CredentialError:
        why = session.failure or f"{session.issuer} gave no refresh token"
        return CredentialError(
            f"the session {self._store.account} cannot go on: {why}",
            path=self._store.path,
            remedy=f"log in again: {login_command(self._config)}",
        )


class RobotSource:
    """The tokens of a client itself: asked for anew each time, kept nowhere but in memory."""

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._clock = clock
        self._held: Held | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._failure = CtaError()

    @property
    def reads_only(self) -> bool:
        """Nobody else renews them."""
        return False

    def stored(self) -> Held | None:
        """Return the last token."""
        return self._held

    def renewed(self, old: Token | None, wanted: threading.Event | None) -> Held | None:
        """Return a new token."""
        pause = self._retry_at - self._clock()
        if 0 < pause < FURTHEST_RETRY:
            raise _again(self._failure, pause)
        try:
            answer = Provider(self._config, client_secret(self._config), clock=self._clock).robot_token()
        except CtaError as error:
            self._failures += 1
            self._failure = error
            life = self._held.life if self._held is not None else 60.0
            asked = getattr(error, "retry_after", None) or 0.0
            self._retry_at = self._clock() + max(pause_after(self._failures, life), asked)
            raise error.with_traceback(None) from None  # its frames hold the client secret
        self._failures = 0
        self._held = _held_answer(answer, source=f"the client {self._config.client_id} of {self._config.issuer}")
        return self._held


def _again(error: CtaError, pause: float) -> CtaError:
    """Return an error that was raised before, for somebody who comes in the pause after it."""
    if isinstance(error, TransientError):
        remedy = f"it is asked again in {pause:.0f} s"
        return TransientError(error.message, path=error.path, remedy=remedy, retry_after=pause)
    return type(error)(error.message, path=error.path, remedy=error.remedy)


def provider_of(config: Config, session: StoredSession, *, clock: Callable[[], float] = time.time) -> Provider:
    """Return the issuer of a session, with the client secret of the settings or of the login."""
    secret = given_secret(config) or session.client_secret or client_secret(config)
    return Provider(config, secret, clock=clock)


def with_answer(session: StoredSession, answer: TokenAnswer) -> StoredSession:
    """Return a session with new tokens; what failed before is forgotten."""
    return replace(
        session,
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
        obtained_at=answer.obtained_at,
        expires_at=_end_of(answer),
        scope=answer.scope or session.scope,
        refused=False,
        failure=None,
        failures=0,
        retry_at=0.0,
    )


def _end_of(answer: TokenAnswer) -> float | None:
    """Return when an access token ends by our own clock: its life counts from its birth, whatever clocks say."""
    token = Token.parse(answer.access_token, source="the answer of the issuer")
    told, born = token.expires_at, token.issued_at
    # What the issuer says of a token may be too much: the door goes by what the token says.
    whole = told - born if told is not None and born is not None and born < told else inf
    if answer.expires_in is not None:
        end = answer.obtained_at + min(answer.expires_in, whole)
    elif told is None or told > answer.obtained_at or whole == inf:
        return told
    else:  # it would have ended before it was given: our clock is ahead
        end = answer.obtained_at + whole
    # Keycloak counts from the last full second.
    return told if told is not None and 0 < end - told <= 1 else end


def held_of(session: StoredSession, store: Store) -> Held:
    """Return the token of a session."""
    token = Token.parse(session.access_token, source=f"the session {store.account}")
    return Held(_with_life(token, session.expires_at, session.scope), session.obtained_at, session.expires_at)


def _held_answer(answer: TokenAnswer, *, source: str) -> Held:
    end = _end_of(answer)
    token = Token.parse(answer.access_token, source=source)
    return Held(_with_life(token, end, answer.scope), answer.obtained_at, end)


def _with_life(token: Token, end: float | None, scope: str | None) -> Token:
    """Return a token that tells what the issuer told with it, where it tells nothing itself.

    Its own `exp` is by the clock of the issuer and the door. It stays, unless ours is so far ahead that a new token
    would seem to have ended.
    """
    told = token.expires_at
    if told is None or (end is not None and end - told > CLOCK_LEEWAY):
        told = end
    scopes = token.scopes if token.scopes is not None or scope is None else frozenset(scope.split())
    return replace(token, expires_at=told, scopes=scopes)


def login_command(config: Config) -> str:
    """Return the command that makes the session of some settings."""
    needed = {name: getattr(config, name) for name in ("issuer", "client_id", "door_url")}
    for profile, settings in BUILT_IN_PROFILES.items():
        if needed.items() <= settings.items():
            return "ctadata login" if profile == DEFAULT_PROFILE else f"ctadata login --profile {profile}"
    options = (word for name, value in needed.items() for word in (f"--{name.replace('_', '-')}", str(value)))
    return shlex.join(["ctadata", "login", *options])


def busy(store: Store) -> TransientError:
    """Return what to raise when the lock of a session cannot be had."""
    remedy = "try again later"
    if store.soft_lock.exists():  # it lives by its existence, on any machine: a kill -9 leaves it behind
        remedy += f"; if it was killed: rm -r {shlex.quote(str(store.soft_lock))}*"
    return TransientError(
        f"another process holds the session {store.account} and does not come to an end",
        path=store.path,
        remedy=remedy,
    )
