"""What we ask an OpenID provider for, by Authlib on requests; nothing is kept here.

Its answers are hostile until checked: endpoints must be https, texts are cut and shown without anything that could be a
secret, bodies have a limit.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlsplit

from ctadata_providers.config import Config
from ctadata_providers.credentials.discreet import discreet
from ctadata_providers.errors import ConfigError, CredentialError, TransientError

if TYPE_CHECKING:
    from ctadata_providers.credentials.oidc.wire import Http

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
"""RFC 8628, 3.4."""
LOGIN_SCOPE = "openid offline_access"
"""What a login asks for unless told otherwise; `offline_access` gives a refresh token that outlives the browser's
session (OpenID Connect Core, 11)."""
METADATA_LIFE = 3600.0
LONGEST_DESCRIPTION = 200
LONGEST_TOKEN = 65536
_TOKEN_LIKE = re.compile(r"[^\s'\"(),;]{20,}")
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")
_CODE = "oauth_error"
"""Attribute of a CredentialError: a class of its own would be a name that users see and cannot import."""
_PASSING = frozenset({"temporarily_unavailable", "server_error"})

_known: dict[tuple[str, object], tuple["Metadata", float]] = {}


def refusal_of(error: CredentialError) -> str:
    """Return the provider's error code (RFC 6749, 5.2; RFC 8628, 3.5), empty for an error that is no refusal of it."""
    return str(error.__dict__.get(_CODE, ""))


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider tells of itself (OpenID Connect Discovery 1.0)."""

    token_endpoint: str
    device_endpoint: str | None
    revocation_endpoint: str | None
    auth_methods: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """Tokens as the provider gave them (RFC 6749, 5.1).

    Attributes:
        access_token: For the door.
        refresh_token: For the next answer; None when there is none.
        obtained_at: When they were asked for, epoch seconds by our clock: their life cannot have begun before.
        expires_in: Seconds of life, None when not told.
        scope: What was granted, None when not told.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    obtained_at: float
    expires_in: float | None
    scope: str | None

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("tokens are not pickled: the other process gets its own")


class Provider:
    """An issuer as one client of it sees it. Construction asks nothing.

    Args:
        config: Gives issuer, client, CAs and time-outs.
        secret: The secret of the client, None for a public one.
        clock: Gives epoch seconds.

    Raises:
        ConfigError: When the settings have no issuer or no client.
    """

    def __init__(self, config: Config, secret: str | None, *, clock: Callable[[], float] = time.time) -> None:
        self.issuer, self.client_id = named(config)
        self._config = config
        self._secret = secret
        self._clock = clock

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a provider is not pickled: it holds the client secret")

    @discreet
    def begin_device(self, scope: str) -> Mapping[str, Any]:
        """Return the answer to a device authorization request (RFC 8628, 3.2), unchecked.

        Raises:
            CredentialError: When the provider has no device flow, or refuses.
            TransientError: When it is away.
        """
        metadata = self._metadata()
        if metadata.device_endpoint is None:
            raise CredentialError(
                f"{self.issuer} offers no login by a code (device flow)",
                remedy="use oidc-agent (oidc_account), a token file or a proxy",
            )
        endpoint = metadata.device_endpoint
        form = {"scope": scope, "audience": self._config.audience or ""}  # who asks is in the authentication
        with self._http("begin a login") as http:
            answer: Mapping[str, Any] = http.post_form(
                endpoint,
                {name: value for name, value in form.items() if value},
                auth=http.client_auth(http.auth_method),
            )
        return answer

    @discreet
    def redeem(self, device_code: str) -> TokenAnswer:
        """Ask once whether a login has been approved.

        Raises:
            CredentialError: With `authorization_pending` or `slow_down` while it has not, else when it will not be.
            TransientError: When the provider is away.
        """
        return self._tokens("finish the login", DEVICE_GRANT, hidden=device_code, device_code=device_code)

    @discreet
    def refresh(self, refresh_token: str) -> TokenAnswer:
        """Redeem a refresh token; where the provider gives no new one, the old one stays in the answer.

        Raises:
            CredentialError: With `invalid_grant` when the session has ended.
            TransientError: When the provider is away.
        """
        return self._tokens("renew the token", "refresh_token", hidden=refresh_token, refresh_token=refresh_token)

    @discreet
    def robot_token(self) -> TokenAnswer:
        """Return a token of the client itself (RFC 6749, 4.4).

        Raises:
            CredentialError: When the provider refuses.
            TransientError: When it is away.
        """
        asked = {"scope": self._config.scope, "audience": self._config.audience}
        given = {name: value for name, value in asked.items() if value}
        return self._tokens("get a token", "client_credentials", hidden="", **given)

    @discreet
    def revoke(self, refresh_token: str) -> bool:
        """End a session (RFC 7009); tell whether the provider offers that.

        Raises:
            CredentialError: When it refuses.
            TransientError: When it is away.
        """
        endpoint = self._metadata().revocation_endpoint
        if endpoint is None:
            return False
        with self._http("revoke the session", hidden=refresh_token) as http:
            kind = "refresh_token"
            http.check_done(http.revoke_token(endpoint, token=refresh_token, token_type_hint=kind))
        return True

    def _tokens(self, act: str, grant_type: str, *, hidden: str, **form: str) -> TokenAnswer:
        endpoint = self._metadata().token_endpoint
        asked_at = self._clock()
        with self._http(act, hidden=hidden) as http:
            if grant_type == "refresh_token":
                answer = http.refresh_token(endpoint, **form)
            else:
                answer = http.fetch_token(endpoint, grant_type=grant_type, **form)
            return self._checked(answer, asked_at)

    def _checked(self, answer: Mapping[str, Any], asked_at: float) -> TokenAnswer:
        access_token, refresh_token = answer.get("access_token"), answer.get("refresh_token") or None
        kind = answer.get("token_type", "Bearer")
        good = _is_token(access_token) and (refresh_token is None or _is_token(refresh_token))
        if not good or not isinstance(kind, str) or kind.lower() != "bearer":
            raise CredentialError(f"{self.issuer} gave something that is no bearer token", remedy="tell its operators")
        scope = answer.get("scope")
        return TokenAnswer(
            access_token=str(access_token),
            refresh_token=refresh_token,
            obtained_at=asked_at,
            expires_in=answer.get("expires_in"),
            scope=scope if isinstance(scope, str) else None,
        )

    def _metadata(self) -> Metadata:
        """Return what the provider tells of itself, asked for once an hour."""
        key = self.issuer, self._config.ca_path
        if key in _known and time.monotonic() - _known[key][1] < METADATA_LIFE:
            return _known[key][0]
        from ctadata_providers.credentials.oidc.wire import Http

        with Http(self._config) as http, self._explained("find the endpoints"):
            told = http.get_json(f"{self.issuer}/.well-known/openid-configuration")
        metadata = self._read(told)
        _known[key] = metadata, time.monotonic()
        return metadata

    def _read(self, told: Mapping[str, Any]) -> Metadata:
        issuer = told.get("issuer")
        if not isinstance(issuer, str) or issuer.rstrip("/") != self.issuer:
            # Discovery 1.0, 4.3: else anybody could speak for an issuer.
            raise ConfigError(
                f"{self.issuer} says that it is {shown(str(issuer))!r}",
                remedy="set issuer to what it says if that is right",
            )
        endpoints = {
            name: self._endpoint(told, f"{name}_endpoint") for name in ("token", "device_authorization", "revocation")
        }
        if endpoints["token"] is None:
            raise ConfigError(f"{self.issuer} tells no token endpoint", remedy="check issuer")
        methods = told.get("token_endpoint_auth_methods_supported")
        return Metadata(
            token_endpoint=endpoints["token"],
            device_endpoint=endpoints["device_authorization"],
            revocation_endpoint=endpoints["revocation"],
            # The default of Discovery 1.0, 3.
            auth_methods=frozenset(filter(_is_text, methods if isinstance(methods, list) else ["client_secret_basic"])),
        )

    def _endpoint(self, told: Mapping[str, Any], name: str) -> str | None:
        url = told.get(name)
        if url is None:
            return None
        if not is_safe_url(url):
            raise ConfigError(f"{self.issuer} tells a {name} that is no https URL", remedy="tell its operators")
        return str(url)

    @contextmanager
    def _http(self, act: str, *, hidden: str = "") -> "Iterator[Http]":
        """Give a client that is authenticated as this provider wants it; explain what it raises."""
        from ctadata_providers.credentials.oidc.wire import Http

        method, client_id, secret = self._authentication()
        client = Http(
            self._config,
            client_id=client_id,
            client_secret=secret,
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
        )
        with client as http, self._explained(act, hidden):
            yield http

    def _authentication(self) -> tuple[str, str, str | None]:
        """Return how the client proves who it is, with its name and secret as that method wants them.

        The secret goes into the header where the provider takes it there. RFC 6749, 2.3.1, wants both encoded in there,
        which Authlib leaves out and not all providers decode: what would change goes into the body where possible.
        """
        if self._secret is None:
            return "none", self.client_id, None
        methods = self._metadata().auth_methods
        encoded = quote_plus(self.client_id), quote_plus(self._secret)
        plain = encoded == (self.client_id, self._secret)
        if "client_secret_basic" in methods and (plain or "client_secret_post" not in methods):
            return "client_secret_basic", *encoded
        if "client_secret_post" in methods:
            return "client_secret_post", self.client_id, self._secret
        raise ConfigError(
            f"{self.issuer} takes client secrets neither in a header nor in a form",
            remedy="ask its operators for a client with client_secret_basic",
        )

    @contextmanager
    def _explained(self, act: str, hidden: str = "") -> Iterator[None]:
        """Say what the libraries raise in our words: their exceptions hold the request, and with it the secrets."""
        import requests
        from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]  # Authlib has no types

        from ctadata_providers.credentials.oidc.wire import forget_requests, reason

        try:
            yield
        except AuthlibBaseError as error:
            secrets = [text for text in (hidden, self._secret) if text]
            raise self._refusal(act, str(error.error or ""), str(error.description or ""), secrets) from None
        except (requests.RequestException, OSError) as error:
            if isinstance(error, TransientError):
                raise
            forget_requests(error)
            raise TransientError(
                f"cannot {act}: {self.issuer} is away ({reason(error)})", path=self.issuer, remedy="try again later"
            ) from None
        except ValueError as error:
            if isinstance(error, ConfigError):
                raise
            raise TransientError(
                f"cannot {act}: {self.issuer} answered with something that is no JSON object",
                path=self.issuer,
                remedy="check issuer, or try again later",
            ) from None

    def _refusal(self, act: str, code: str, description: str, secrets: list[str]) -> CredentialError | TransientError:
        told = code if _ERROR_CODE.fullmatch(code) and code not in secrets else shown(code, secrets)
        said = f"{told}: {shown(description, secrets)}" if description else told
        message = f"cannot {act}: {self.issuer} says {said}"
        if code in _PASSING:
            return TransientError(message, path=self.issuer, remedy="try again later")
        refusal = CredentialError(message, path=self.issuer, remedy=_REMEDIES.get(code, "ask its operators"))
        refusal.__dict__[_CODE] = code
        return refusal


_REMEDIES = {
    "invalid_client": "check client_id and the client secret (client_secret_file)",
    "unauthorized_client": "check client_id: this client may not do that, or needs its secret (client_secret_file)",
    "invalid_scope": "check scope",
    "access_denied": "log in again, and approve it",
    "expired_token": "log in again, and approve it in time",
}


def named(config: Config) -> tuple[str, str]:
    """Return issuer and client of some settings.

    Raises:
        ConfigError: When one is missing.
    """
    if not config.issuer or not config.client_id:
        missing = "issuer" if not config.issuer else "client_id"
        raise ConfigError(
            f"setting {missing} is missing: nobody to ask for a token",
            remedy=f"give {missing} (CTA_{missing.upper()}), or a profile that has it, as prod and dev have",
        )
    return config.issuer, config.client_id


def is_safe_url(url: object) -> bool:
    """Tell whether a URL may be asked or shown: https, or plain http on this machine, and printable ASCII.

    >>> [is_safe_url(url) for url in ("https://id.example/a", "http://id.example/a", "http://localhost:1/a")]
    [True, False, True]
    """
    if not isinstance(url, str) or len(url) > 2000 or not all(33 <= ord(c) <= 126 for c in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    encrypted = parts.scheme == "https" or (local and parts.scheme == "http")
    return bool(parts.hostname) and not parts.username and encrypted


def seconds(value: object) -> float | None:
    """Return a number of seconds of an answer (some providers send a text), None for what cannot be one."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e10:
        return None
    return float(value)


def shown(text: str, secrets: list[str] | None = None) -> str:
    """Return a provider's text as it may be shown: short, printable, without secrets and what looks like one.

    >>> shown("invalid_grant: Token abcdefghijklmnopqrstuvwxyz is not active")
    'invalid_grant: Token ... is not active'
    """
    for secret in secrets or []:
        text = text.replace(secret, "...")
    printable = "".join(c if c.isprintable() else " " for c in text)
    return _TOKEN_LIKE.sub("...", printable)[:LONGEST_DESCRIPTION] or "nothing"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_token(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TOKEN and all(33 <= ord(c) <= 126 for c in value)
