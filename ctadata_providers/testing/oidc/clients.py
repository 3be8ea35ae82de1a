"""The clients that an OpenID provider knows, and how they prove who they are (RFC 6749, 2.3)."""

import base64
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.exchange import Refusal

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
PERSONAL = frozenset({DEVICE_GRANT, "refresh_token"})
ROBOT = frozenset({"client_credentials"})
GRANTS = PERSONAL | ROBOT


class OAuthError(Refusal):
    """An answer with an error code of OAuth (RFC 6749, 5.2).

    Args:
        error: The code.
        text: A sentence about it.
        status: The HTTP status.
    """

    def __init__(self, error: str, text: str, *, status: int = 400) -> None:
        super().__init__(status, text)
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A program that may ask for tokens.

    Attributes:
        client_id: Its name.
        secret: What it proves itself with; empty for a public one.
        grants: The grant types that it may use.
    """

    client_id: str
    secret: str = field(default="", repr=False)
    grants: frozenset[str] = PERSONAL

    def check_grant(self, grant_type: str) -> None:
        """Refuse a grant type that this client may not use.

        Raises:
            OAuthError: `unauthorized_client`.
        """
        if grant_type not in self.grants:
            raise OAuthError("unauthorized_client", f"Client not allowed to use {grant_type.rpartition(':')[2]}")


class Clients:
    """The clients of one provider: one of each kind at first."""

    def __init__(self) -> None:
        self._own: dict[str, Client] = {
            "public": Client(client_id="ctadata-public"),
            "confidential": Client(client_id="ctadata-confidential", secret=secrets.token_urlsafe(24)),
            "robot": Client(client_id="ctadata-robot", secret=secrets.token_urlsafe(24), grants=ROBOT),
        }
        self._by_name = dict(self._own)

    def get(self, name: str) -> Client:
        """Return a client by its kind or its id.

        Raises:
            ConfigError: When there is none.
        """
        for kind, client in self._by_name.items():
            if name in (kind, client.client_id):
                return client
        raise ConfigError(f"no client {name!r} is known here", remedy=f"use one of {', '.join(self._by_name)}")

    def add(self, client: Client) -> None:
        """Make one more client known, or change one."""
        self._by_name[client.client_id] = client

    def forget_added(self) -> None:
        """Know only those again that were there at first."""
        self._by_name = dict(self._own)

    def authenticate(self, form: Mapping[str, str], authorization: str, methods: Sequence[str]) -> Client:
        """Return the client that sent a form.

        Args:
            form: What it sent.
            authorization: Its header of that name.
            methods: The ways to prove oneself that the provider takes: `client_secret_basic`, `client_secret_post`.

        Raises:
            OAuthError: 401 when it is unknown, or does not prove that it is the one it names.
        """
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        method = "client_secret_post"
        if authorization:
            client_id, secret = _basic(authorization)
            method = "client_secret_basic"
        client = next((client for client in self._by_name.values() if client.client_id == client_id), None)
        if client is None:
            raise OAuthError("invalid_client", "Invalid client or Invalid client credentials", status=401)
        if client.secret and not (method in methods and hmac.compare_digest(client.secret.encode(), secret.encode())):
            raise OAuthError("unauthorized_client", "Invalid client or Invalid client credentials", status=401)
        return client


def _basic(authorization: str) -> tuple[str, str]:
    """Return name and secret of a header, each of them encoded as in a form (RFC 6749, 2.3.1)."""
    scheme, _, text = authorization.partition(" ")
    try:
        name, colon, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except ValueError:
        colon = ""
    if scheme.lower() != "basic" or not colon:
        raise OAuthError("invalid_client", "Invalid client or Invalid client credentials", status=401)
    return unquote_plus(name), unquote_plus(secret)
