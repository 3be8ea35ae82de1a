"""Tokens, files and logins to be found on a machine."""

import base64
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ctadata_providers import Config
from ctadata_providers.credentials.oidc import sessions
from ctadata_providers.credentials.oidc.store import Store, StoredSession, origin_of


def jwt_of(claims: object) -> str:
    """Return an unsigned JWT with some claims, which may be nonsense."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({}, claims)]
    return ".".join([*parts, "c2lnbmF0dXJl"])


def jwt(**claims: object) -> str:
    """Return an unsigned JWT with some claims."""
    return jwt_of(claims)


def named(name: str) -> str:
    """Return a token that lives for an hour and tells its name."""
    return jwt(sub=name, exp=time.time() + 3600)


def put(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def log_in(config: Config, **otherwise: Any) -> None:
    """Leave a login as `ctadata login` does, whose token's subject is `login`, with some fields otherwise."""
    session = StoredSession(
        issuer=config.issuer or "",
        client_id=config.client_id or "",
        door_url=origin_of(config.door_url),
        access_token=named("login"),
        refresh_token="a-refresh-token",
        obtained_at=time.time(),
        expires_at=time.time() + 3600,
    )
    with Store(sessions.account_of(config)).reserve() as save:
        save(replace(session, **otherwise))
