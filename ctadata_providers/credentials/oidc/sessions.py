"""Our own logins: a session for each issuer, client and door, shared by all processes of a user.

One process asks the issuer for the next token, under a lock, and the others read it: a refresh token is good for one
use, and using it twice ends the login (RFC 9700, 4.14).
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctadata_providers.config import Config
from ctadata_providers.credentials.discreet import discreet
from ctadata_providers.credentials.oidc.client_secret import client_secret, given_secret
from ctadata_providers.credentials.oidc.freshness import FreshToken, Source
from ctadata_providers.credentials.oidc.provider import LOGIN_SCOPE, Provider, named
from ctadata_providers.credentials.oidc.renewal import (
    LOCK_PATIENCE,
    RobotSource,
    StoredSource,
    busy,
    held_of,
    provider_of,
    with_answer,
)
from ctadata_providers.credentials.oidc.store import Store, StoredSession, account_of, origin_of
from ctadata_providers.credentials.oidc.unbroken import unbroken
from ctadata_providers.credentials.tokens import Token
from ctadata_providers.errors import ConfigError, CredentialError, CtaError
from ctadata_providers.forks import fork_safe_lock

if TYPE_CHECKING:
    from ctadata_providers.credentials.oidc.device import DeviceGrant
    from ctadata_providers.credentials.tokens import Renewable

__all__ = [
    "SessionStatus",
    "account_of",
    "log_in",
    "log_out",
    "open_session",
    "refresh",
    "robot",
    "status",
]

_WHAT_MATTERS = (
    "profile",
    "issuer",
    "client_id",
    "door_url",
    "client_secret",
    "client_secret_file",
    "refresh",
    "scope",
    "audience",
    "ca_path",
    "connect_timeout",
    "timeout",
)
_shared: dict[tuple[object, ...], FreshToken] = {}
_shared_lock = fork_safe_lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """What is known of a login; nothing of it is secret but the token, which shows itself nowhere.

    Attributes:
        account: Name of the session in the store.
        issuer: Who gave it.
        client_id: To whom.
        door_url: The door that its tokens are for.
        file: Where it is kept.
        expires_at: When the access token ends, epoch seconds by our clock; None when nobody told.
        refreshable: Whether there is a refresh token that the issuer has not refused.
        failure: Why the last refresh failed, None when it did not.
        token: The access token, ended or not.
    """

    account: str
    issuer: str
    client_id: str
    door_url: str
    file: str
    expires_at: float | None
    refreshable: bool
    failure: str | None
    token: Token


def open_session(config: Config) -> "Renewable | None":
    """Return the session of this issuer, client and door, None when nobody has logged in.

    Looks for the file only; what is wrong with it is told when a token is wanted.
    """
    if not config.issuer or not config.client_id or not Store(account_of(config)).exists():
        return None
    return _shared_token("session", config, lambda: StoredSource(config))


def robot(config: Config) -> "Renewable":
    """Return the tokens of a robot account (client credentials), kept in memory and shared in the process.

    Raises:
        ConfigError: When the settings have no issuer or no client.
    """
    named(config)
    return _shared_token("robot", config, lambda: RobotSource(config))


@discreet
def log_in(
    config: Config,
    secret: str | None,
    show: "Callable[[DeviceGrant], None]",
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Token:
    """Log in by the device flow: show the grant, wait until the user has approved it, keep the session.

    Args:
        config: Which issuer, client and door.
        secret: The client's secret if it was typed in; default: as the settings say. It is kept with the session,
            because other processes need it to go on, and may not have these settings.
        show: Tells the user where to approve the login.
        sleep: Waits some seconds.

    Raises:
        ConfigError: When the settings have no issuer or no client.
        CredentialError: When the provider or the user refuses, nobody approves in time, or the session cannot be kept.
        TransientError: When the provider is away.
    """
    from ctadata_providers.credentials.oidc import device

    issuer, client_id = named(config)
    store = Store(account_of(config))
    secret = secret or given_secret(config)
    provider = Provider(config, secret or client_secret(config))
    with store.reserve():
        pass  # no login is begun that could not be kept
    grant = device.begin(provider, config.scope or LOGIN_SCOPE)
    show(grant)
    answer = device.wait(provider, grant, sleep=sleep)
    blank = StoredSession(
        issuer=issuer,
        client_id=client_id,
        door_url=origin_of(config.door_url),
        client_secret=secret,
        access_token="",
        obtained_at=0.0,
    )
    session = with_answer(blank, answer)

    def keep(wanted: threading.Event) -> None:
        with store.lock(patience=LOCK_PATIENCE, given_up=wanted.is_set) as held:
            if not held:
                raise busy(store)
            store.save(session)

    unbroken(keep)
    return held_of(session, store).token


def log_out(config: Config) -> bool:
    """Revoke the session at the provider and forget it; tell whether there was one.

    Raises:
        CredentialError: When the session cannot be forgotten; when the provider refuses to revoke it, or the client
            secret cannot be read, it is forgotten all the same.
        TransientError: When the provider is away; the session is forgotten all the same.
        ConfigError: When the settings have no issuer or no client; when there is no provider there any more, the
            session is forgotten all the same.
    """
    named(config)
    store = Store(account_of(config))
    if not store.exists():
        return False

    def end(wanted: threading.Event) -> bool:
        with store.lock(patience=LOCK_PATIENCE, given_up=wanted.is_set) as held:
            if not held:
                raise busy(store)
            session = None
            with suppress(CredentialError):  # what cannot be read can be forgotten
                session = store.read()
            was_there = store.remove()
            if session is not None and session.refresh_token is not None and not session.refused:
                _revoke(config, session, session.refresh_token)
            return was_there

    return unbroken(end)


@discreet
def _revoke(config: Config, session: StoredSession, refresh_token: str) -> None:
    try:
        provider_of(config, session).revoke(refresh_token)
    except CtaError as error:
        raise type(error)(
            f"the session is forgotten here, but {error.message}",
            path=session.issuer,
            remedy="end it on your account page there",
        ) from None


def refresh(config: Config) -> Token:
    """Get a new token for the session now, however long the old one lives.

    Raises:
        ConfigError: When the settings have no issuer or no client, or forbid it.
        CredentialError: When there is no session, or it has ended.
        TransientError: When the provider is away.
    """
    named(config)
    if config.refresh == "never":
        raise ConfigError("refresh is 'never', and this would be one", remedy="leave refresh out (CTA_REFRESH)")
    session = StoredSource(config)
    old = session.stored()
    held = unbroken(lambda wanted: session.renewed(old.token, wanted, forced=True))
    if held is None:
        raise busy(Store(account_of(config)))
    return held.token


def status(config: Config) -> SessionStatus | None:
    """Return what is known of the session of these settings, None when nobody has logged in.

    Raises:
        ConfigError: When the settings have no issuer or no client.
        CredentialError: When the session cannot be read.
    """
    named(config)
    store = Store(account_of(config))
    session = store.read()
    if session is None:
        return None
    return SessionStatus(
        account=store.account,
        issuer=session.issuer,
        client_id=session.client_id,
        door_url=session.door_url,
        file=str(store.path),
        expires_at=session.expires_at,
        refreshable=session.refresh_token is not None and not session.refused,
        failure=session.failure,
        token=held_of(session, store).token,
    )


def _shared_token(kind: str, config: Config, make: Callable[[], Source]) -> FreshToken:
    """Return the one token of these settings in this process: what one client has got is good for all."""
    key = kind, str(Store("").folder), *(getattr(config, name) for name in _WHAT_MATTERS)
    with _shared_lock:
        if key not in _shared:
            _shared[key] = FreshToken(make())
        return _shared[key]
