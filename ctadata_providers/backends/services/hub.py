"""What the hub of the services tells of the user and the token."""

import json
from dataclasses import dataclass
from typing import Any

from ctadata_providers.config import Config
from ctadata_providers.credentials.hub import new_token, service_scope
from ctadata_providers.errors import ConfigError, CredentialError, PermissionDeniedError, StorageError
from ctadata_providers.session import Request
from ctadata_providers.session.services import JSON, ServiceSession


@dataclass(frozen=True, slots=True)
class HubUser:
    """Whose token it is, and what it is good for.

    Attributes:
        name: The user's name at the hub.
        scopes: The scopes of the token, None when the hub does not tell.
    """

    name: str
    scopes: frozenset[str] | None

    def lacks(self, scope: str) -> bool:
        """Tell whether the token certainly has not the scope for a service."""
        return self.scopes is not None and self.scopes.isdisjoint({scope, scope.partition("!")[0]})


def hub_user(config: Config) -> HubUser:
    """Ask the hub whose token it is.

    Raises:
        ConfigError: When it is not known where the hub is.
        CredentialError: When there is no token, it must not be sent there, or the hub refuses it.
        StorageError: When what answers is no hub.
    """
    if config.hub is None:
        raise ConfigError("the hub of the services is not known", remedy="set service_url (CTADS_URL) or hub_url")
    session = ServiceSession(config, config.hub)
    url = f"{config.hub}api/user"
    try:
        answer = session.message(
            Request(method="GET", url=url, path="api/user", act="ask the hub for", headers={"Content-Type": JSON})
        )
    except PermissionDeniedError as error:  # what JupyterHub says of a token that it does not know
        raise CredentialError(
            f"{error.message}: the hub does not know the token, or it has ended", path=url, remedy=new_token(config)
        ) from error
    finally:
        session.close()
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        raise StorageError(f"{url} does not answer as a JupyterHub", path=url, remedy="check hub_url and service_url")
    return HubUser(told["name"], _scopes(told.get("scopes")))


def missing_scope(config: Config, user: HubUser) -> str | None:
    """Return the scope for the downloadservice if the token certainly lacks it."""
    scope = service_scope(config)
    return scope if user.lacks(scope) else None


def _scopes(told: Any) -> frozenset[str] | None:
    return frozenset(str(scope) for scope in told) if isinstance(told, list) else None
