"""What a test holds of an OpenID provider: who approves, what goes wrong, what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import Any, Unpack

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.fault_kinds import FaultName, FaultOptions
from ctadata_providers.testing.faults import Fault, Faults
from ctadata_providers.testing.oidc.clients import PERSONAL, ROBOT, Client
from ctadata_providers.testing.oidc.keys import signing_key
from ctadata_providers.testing.oidc.server import OidcServer
from ctadata_providers.testing.requestlog import LoggedRequest, RequestLog
from ctadata_providers.testing.running import Plan, Running


def start_issuer(plan: Plan, running: Running) -> Issuer:
    """Start the issuer of a data centre.

    Raises:
        ConfigError: When there is no free port, or in a fork.
    """
    log, faults = RequestLog(), Faults(("issuer",))
    pki = running.parts.pki
    site = plan.site(running.parts.storage, tls=pki.server_context if pki else None)
    server = OidcServer(replace(site, log=log, faults=faults))
    with ExitStack() as undo:
        undo.callback(server.close)
        # Signing keys take long to make: not while a request waits.
        signing_key()
        running.start_server(server)
        undo.pop_all()
    return Issuer(server, log, faults)


class Issuer:
    """The OpenID provider of a data centre, reached without HTTP.

    Args:
        server: The provider.
        log: What it was asked.
        faults: What goes wrong there.

    Attributes:
        faults: What goes wrong on purpose, as at the door: `faults.add(name, path="/**/token", times=1)`.
    """

    def __init__(self, server: OidcServer, log: RequestLog, faults: Faults) -> None:
        self._server = server
        self._provider = server.provider
        self._log = log
        self.faults = faults

    # How to reach it

    @property
    def url(self) -> str:
        """The issuer, as in Keycloak `https://host:port/realms/master`, without a slash at the end."""
        return self._server.issuer

    @property
    def verification_uri(self) -> str:
        """The page on which a person approves a login; it takes `user_code`, `username` and `action` by POST."""
        return self._server.verification_uri

    def settings(self, client: str = "public") -> dict[str, str | bool]:
        """Return the settings of a client that logs in here, to be added to those that lead to the door.

        Raises:
            ConfigError: When the client is not known.
        """
        known = self.client(client)
        settings: dict[str, str | bool] = {"issuer": self.url, "client_id": known.client_id}
        if known.secret:
            settings["client_secret"] = known.secret
        if "client_credentials" in known.grants:
            return settings | {"grant_type": "client_credentials"}
        # A login is found in the user's own folders.
        return settings | {"ambient_credentials": True}

    def environ(self, client: str = "public") -> dict[str, str]:
        """Return the same settings as environment variables.

        Raises:
            ConfigError: When the client is not known.
        """
        settings = self.settings(client)
        return {f"CTA_{name.upper()}": value for name, value in settings.items() if isinstance(value, str)}

    def client(self, name: str = "public") -> Client:
        """Return a client by its kind (`public`, `confidential`, `robot`) or its id.

        Raises:
            ConfigError: When there is none.
        """
        return self._provider.clients.get(name)

    def add_client(self, client_id: str, *, secret: str = "", robot: bool = False) -> Client:
        """Make one more client known until `reset`.

        Args:
            client_id: Its name.
            secret: What it proves itself with; without one it is public.
            robot: Whether it has client credentials, instead of people who log in.
        """
        client = Client(client_id=client_id, secret=secret, grants=ROBOT if robot else PERSONAL)
        self._provider.clients.add(client)
        return client

    # What people do

    @property
    def waiting(self) -> list[str]:
        """The user codes of logins about which nothing is decided yet, oldest first."""
        return self._provider.user_codes

    def approve(self, user_code: str, subject: str = "alice") -> None:
        """Approve a login that waits, as a user.

        Raises:
            ConfigError: When none waits under this code, or the user has no name.
        """
        self._provider.decide(user_code, subject)

    def deny(self, user_code: str) -> None:
        """Refuse a login that waits.

        Raises:
            ConfigError: When none waits under this code.
        """
        self._provider.decide(user_code, None)

    def approve_next(self, subject: str = "alice") -> None:
        """Approve the oldest login that waits, or else the next that comes.

        Raises:
            ConfigError: When the user has no name.
        """
        self._provider.decide(None, subject)

    def deny_next(self) -> None:
        """Refuse the oldest login that waits, or else the next that comes."""
        self._provider.decide(None, None)

    def tokens(
        self, subject: str = "alice", *, client: str = "public", scope: str = "openid offline_access"
    ) -> dict[str, Any]:
        """Return the tokens of a new login, as the token endpoint would answer, without asking anybody.

        Raises:
            ConfigError: When the client is not known.
        """
        return self._provider.log_in(self.client(client), subject, scope)

    def end_sessions(self) -> None:
        """Log everybody out: each refresh token that was given is an `invalid_grant` from now on."""
        self._provider.end_sessions()

    # How it behaves

    def configure(self, **manners: Any) -> None:
        """Change how it behaves, from now on; `Manners` tells what there is.

        Raises:
            ConfigError: For an unknown name, or a value that means nothing.
        """
        known = set(self._provider.manners.__dataclass_fields__)
        if unknown := manners.keys() - known:
            raise ConfigError(f"unknown: {', '.join(sorted(unknown))}", remedy=f"known are {', '.join(sorted(known))}")
        self._provider.manners = replace(self._provider.manners, **manners)

    def fault(
        self,
        name: FaultName,
        *,
        path: str = "/**",
        method: str | None = None,
        times: int | None = None,
        **options: Unpack[FaultOptions],
    ) -> AbstractContextManager[Fault]:
        """Switch a fault on for a `with` block; as `faults.add`, which tells the arguments and errors."""
        return self.faults.during(self.faults.add(name, path=path, method=method, times=times, **options))

    # What was asked

    @property
    def requests(self) -> list[LoggedRequest]:
        """What it was asked so far, in the order of its answers; secrets are fingerprints."""
        return self._log.requests()

    def grants(self, grant_type: str) -> list[LoggedRequest]:
        """Return the token requests of one kind: `refresh_token`, `device_code` or `client_credentials`."""
        return [r for r in self.requests if r.form.get("grant_type", "").rpartition(":")[2] == grant_type]

    def clear_requests(self) -> None:
        """Forget what was asked so far."""
        self._log.clear()

    @property
    def revoked_families(self) -> list[str]:
        """The logins that ended because a refresh token was used a second time."""
        return self._provider.reused_families

    def read_token(self, token: str) -> Mapping[str, object] | None:
        """Return the claims of an access token as the door reads it, None for one of another issuer.

        Raises:
            LoginError: When its signature is wrong.
        """
        return self._provider.read(token)

    def reset(self) -> None:
        """Forget all logins, faults and requests, and behave as at first."""
        self.faults.clear()
        self._provider.reset()
        self._log.clear()
