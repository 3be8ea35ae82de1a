"""The grants of an OpenID provider: from forms to tokens, without HTTP."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.oidc.clients import DEVICE_GRANT, GRANTS, Client, Clients, OAuthError
from ctadata_providers.testing.oidc.devices import Devices
from ctadata_providers.testing.oidc.families import Families, Family
from ctadata_providers.testing.oidc.manners import Manners
from ctadata_providers.testing.oidc.minting import Mint, tidy, userinfo

Form = Mapping[str, str]
Answer = dict[str, object]


class Provider:
    """The state of a provider. Thread-safe: a test decides while a server answers.

    Args:
        url: Its name, the issuer.
        clock: Gives the time by which logins wait, in seconds.
        wall_clock: Gives the time of day, seconds since the epoch.

    Attributes:
        clients: Who may ask.
        manners: How it behaves.
    """

    def __init__(self, url: str, *, clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        self.url = url
        self.manners = Manners()
        self.clients = Clients()
        self._clock = clock
        self._wall_clock = wall_clock
        self._lock = threading.RLock()
        self._mint = Mint(url, wall_clock)
        self.reset()

    def reset(self) -> None:
        """Forget all logins, and behave as at first."""
        with self._lock:
            self.manners = Manners()
            self.clients.forget_added()
            self._devices = Devices(self._clock)
            self._families = Families(self._wall_clock)
            self._mint.forget()

    # What people decide

    @property
    def user_codes(self) -> list[str]:
        """The codes of logins that wait, oldest first."""
        with self._lock:
            return self._devices.user_codes

    @property
    def reused_families(self) -> list[str]:
        """The families that ended because a refresh token was used twice."""
        with self._lock:
            return self._families.reused

    def decide(self, user_code: str | None, subject: str | None) -> None:
        """Approve a login for a user, or refuse it with None; without a code, the oldest one or the next that comes.

        Raises:
            ConfigError: When no login waits under the code, or a user has no name.
        """
        if subject == "":
            raise ConfigError("a user has a name", remedy="name one, or leave the subject out")
        with self._lock:
            if user_code is None:
                self._devices.decide_next(subject)
            else:
                self._devices.decide(user_code, subject)

    def end_sessions(self) -> None:
        """End every login."""
        with self._lock:
            self._families.end_all()

    def log_in(self, client: Client, subject: str, scope: str, audience: str = "") -> Answer:
        """Return the tokens of a new login."""
        with self._lock:
            family = Family(subject=subject, client_id=client.client_id, scope=self._granted(scope), audience=audience)
            return self._extend(family, family)

    # What clients ask

    def begin_device(self, client: Client, form: Form) -> Answer:
        """Answer a device authorization request (RFC 8628, 3.2), without the addresses.

        Raises:
            OAuthError: When the client may not ask.
        """
        client.check_grant(DEVICE_GRANT)
        with self._lock:
            manners = self.manners
            waiting = self._devices.begin(
                client.client_id,
                form.get("scope", ""),
                form.get("audience", ""),
                lifetime=manners.device_lifetime,
                pace=manners.pace,
                subject=manners.approve,
            )
        answer: Answer = {
            "device_code": waiting.device_code,
            "user_code": waiting.user_code,
            "expires_in": tidy(manners.device_lifetime),
        }
        return answer if manners.interval is None else answer | {"interval": tidy(manners.interval)}

    def give_tokens(self, client: Client, form: Form, *, too_fast: bool = False) -> Answer:
        """Answer a token request (RFC 6749, 3.2).

        Args:
            client: Who asks.
            form: What for.
            too_fast: Answer polls of a login that waits with `slow_down`.

        Raises:
            OAuthError: When there is none to give.
        """
        grant_type = form.get("grant_type", "")
        if not grant_type:
            raise OAuthError("invalid_request", "Missing form parameter: grant_type")
        if grant_type not in GRANTS:
            raise OAuthError("unsupported_grant_type", "Unsupported grant_type")
        client.check_grant(grant_type)
        with self._lock:
            if grant_type == "refresh_token":
                return self._refresh(client, form)
            if grant_type == "client_credentials":
                return self._serve_robot(client, form)
            waiting = self._devices.poll(form.get("device_code", ""), client.client_id, too_fast=too_fast)
            return self.log_in(client, str(waiting.subject), waiting.scope, waiting.audience)

    def revoke(self, client: Client, token: str) -> None:
        """End a refresh token with its family, or an access token (RFC 7009); an unknown one is fine.

        Raises:
            OAuthError: When there is none, or it belongs to another client.
        """
        if not token:
            raise OAuthError("invalid_request", "Token not provided")
        with self._lock:
            self._families.end(token, client.client_id)
            self._mint.revoke(token)

    def userinfo(self, token: str) -> Answer:
        """Return what is known of the user of an access token.

        Raises:
            OAuthError: 401 when it is not good, or its login is over.
        """
        with self._lock:
            claims = self._mint.introspect(token)
            if claims is None or self._families.is_over(str(claims["sid"])):
                raise OAuthError("invalid_token", "Token verification failed", status=401)
            return userinfo(claims)

    def read(self, token: str) -> dict[str, object] | None:
        """Return the claims of an access token as the door reads it, None for one of somebody else.

        Raises:
            LoginError: When its signature is wrong.
        """
        with self._lock:
            return self._mint.read(token)

    def _granted(self, scope: str) -> str:
        """Return the scopes of a login: those asked for, and some for the storage in any case."""
        asked = scope.split()
        if not any(map(_is_storage, asked)):
            asked += self.manners.scope.split()
        return " ".join(dict.fromkeys(asked))

    def _refresh(self, client: Client, form: Form) -> Answer:
        family = self._families.use(form.get("refresh_token", ""), client.client_id)
        asked, granted = form.get("scope", "").split(), family.scope.split()
        if not set(asked) <= set(granted):
            raise OAuthError("invalid_scope", "Invalid scopes")
        if asked and not any(map(_is_storage, asked)):
            asked += filter(_is_storage, granted)
        return self._extend(family, replace(family, scope=" ".join(asked or granted)))

    def _extend(self, family: Family, told: Family) -> Answer:
        """Give out tokens: the refresh token belongs to the family, the access token is for what is told."""
        token = None
        if self.manners.rotation or not family.current:
            token = self._mint.refresh_token()
            self._families.extend(family, token, lifetime=self.manners.session_lifetime)
        return self._mint.answer(told, self.manners, token)

    def _serve_robot(self, client: Client, form: Form) -> Answer:
        family = Family(
            subject=f"service-account-{client.client_id}",
            client_id=client.client_id,
            scope=self._granted(form.get("scope", "")),
            audience=form.get("audience", ""),
        )
        return self._mint.answer(family, self.manners, None)


def _is_storage(scope: str) -> bool:
    return scope.startswith("storage.")
