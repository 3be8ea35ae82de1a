"""The HTTP side of an OpenID provider, at the addresses that Keycloak has."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.exchange import Exchange, Refusal
from ctadata_providers.testing.oidc.clients import GRANTS, Client, OAuthError
from ctadata_providers.testing.oidc.keys import signing_key
from ctadata_providers.testing.oidc.pages import device_page, message_page
from ctadata_providers.testing.oidc.provider import Provider
from ctadata_providers.testing.server import Server, Site

REALM = "/realms/master"
_PROTOCOL = f"{REALM}/protocol/openid-connect"
_FORM = "application/x-www-form-urlencoded"
_METHODS = ("client_secret_basic", "client_secret_post")

Handler = Callable[[Exchange], web.Response]


class OidcServer(Server):
    """An OpenID provider at a port of its own.

    Args:
        site: Where it stands.
    """

    def __init__(self, site: Site) -> None:
        super().__init__("issuer", site)
        self.issuer = f"{self.url}{REALM}"
        self.verification_uri = f"{self.issuer}/device"
        self.provider = Provider(self.issuer, clock=site.clock, wall_clock=site.wall_clock)
        self._handlers: dict[tuple[str, str], Handler] = {
            ("GET", f"{REALM}/.well-known/openid-configuration"): self._tell_metadata,
            ("GET", f"{_PROTOCOL}/certs"): self._tell_keys,
            ("POST", f"{_PROTOCOL}/auth/device"): self._begin_device,
            ("POST", f"{_PROTOCOL}/token"): self._give_tokens,
            ("POST", f"{_PROTOCOL}/revoke"): self._revoke,
            ("GET", f"{_PROTOCOL}/userinfo"): self._tell_user,
            ("POST", f"{_PROTOCOL}/userinfo"): self._tell_user,
            ("GET", f"{REALM}/device"): self._ask_person,
            ("POST", f"{REALM}/device"): self._hear_person,
        }

    async def admit(self, exchange: Exchange) -> None:
        """Read the form, so that the log has it whatever happens next."""
        if (exchange.method, exchange.path) not in self._handlers:
            known = exchange.path in {path for _, path in self._handlers}
            raise OAuthError("unknown_error", "No such address or method", status=405 if known else 404)
        if exchange.method == "POST":
            exchange.form = _parsed(exchange.headers.get("Content-Type", ""), await exchange.body())

    async def handle(self, exchange: Exchange) -> web.StreamResponse:
        """Answer a request."""
        if any(fault.name == "redirect-to" for fault in exchange.faults):
            raise Refusal(302, "Found", {"Location": f"{self.url}{exchange.path}"})
        return self._handlers[exchange.method, exchange.path](exchange)

    def refuse(self, exchange: Exchange, refusal: Refusal) -> web.Response:
        """Answer with an error as OAuth has them, or, where the server itself has failed, with a page for people."""
        if not isinstance(refusal, OAuthError):
            text = message_page(f"{refusal.status}", refusal.text)
            return web.Response(status=refusal.status, headers=refusal.headers, text=text, content_type="text/html")
        exchange.error = refusal.error
        headers = dict(refusal.headers)
        if refusal.status == 401:
            scheme = "Bearer" if refusal.error == "invalid_token" else "Basic"
            headers["WWW-Authenticate"] = f'{scheme} realm="master", error="{refusal.error}"'
        return _json({"error": refusal.error, "error_description": refusal.text}, refusal.status, headers)

    # The endpoints

    def _metadata(self) -> dict[str, Any]:
        """Return what the discovery document says (OpenID Connect Discovery 1.0, 3; RFC 8414; RFC 8628, 4)."""
        base = f"{self.url}{_PROTOCOL}"
        metadata = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{base}/auth",
            "token_endpoint": f"{base}/token",
            "device_authorization_endpoint": f"{base}/auth/device",
            "revocation_endpoint": f"{base}/revoke",
            "userinfo_endpoint": f"{base}/userinfo",
            "jwks_uri": f"{base}/certs",
            "grant_types_supported": sorted(GRANTS),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": list(_METHODS),
            "revocation_endpoint_auth_methods_supported": list(_METHODS),
            "scopes_supported": ["openid", "offline_access", *sorted(self._storage_scopes())],
        }
        changed = {**metadata, **self.provider.manners.metadata}
        return {name: value for name, value in changed.items() if value is not None}

    def _storage_scopes(self) -> set[str]:
        return {scope.partition(":")[0] for scope in self.provider.manners.scope.split()}

    def _tell_metadata(self, exchange: Exchange) -> web.Response:
        return _json(self._metadata())

    def _tell_keys(self, exchange: Exchange) -> web.Response:
        return _json({"keys": [signing_key().jwk]})

    def _begin_device(self, exchange: Exchange) -> web.Response:
        answer = self.provider.begin_device(self._client(exchange), exchange.form)
        code = urlencode({"user_code": str(answer["user_code"])})
        addresses = {
            "verification_uri": self.verification_uri,
            "verification_uri_complete": f"{self.verification_uri}?{code}",
        }
        return _json(answer | addresses)

    def _give_tokens(self, exchange: Exchange) -> web.Response:
        client = self._client(exchange)
        grant_type = exchange.form.get("grant_type", "")
        if exchange.struck_by("invalid-grant"):
            raise OAuthError("invalid_grant", "Session not active")
        too_fast = grant_type.endswith("device_code") and exchange.struck_by("slow-down") is not None
        return _json(self.provider.give_tokens(client, exchange.form, too_fast=too_fast))

    def _revoke(self, exchange: Exchange) -> web.Response:
        self.provider.revoke(self._client(exchange), exchange.form.get("token", ""))
        return web.Response(headers=_NO_STORE)

    def _tell_user(self, exchange: Exchange) -> web.Response:
        _, _, token = exchange.headers.get("Authorization", "").partition(" ")
        return _json(self.provider.userinfo(token.strip()))

    def _ask_person(self, exchange: Exchange) -> web.Response:
        return web.Response(text=device_page(exchange.query.get("user_code", "")), content_type="text/html")

    def _hear_person(self, exchange: Exchange) -> web.Response:
        form = exchange.form
        approved = form.get("action") == "approve"
        if not form.get("user_code") or form.get("action") not in ("approve", "deny"):
            raise Refusal(400, "user_code or action is missing")
        if approved and not form.get("username"):
            raise Refusal(400, "username is missing")
        try:
            self.provider.decide(form["user_code"], form["username"] if approved else None)
        except ConfigError as error:
            raise Refusal(400, "Invalid code, please try again.") from error
        text = "Device login successful" if approved else "Device login denied"
        return web.Response(text=message_page(text, "You may close this window."), content_type="text/html")

    def _client(self, exchange: Exchange) -> Client:
        methods = self._metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return self.provider.clients.authenticate(exchange.form, exchange.headers.get("Authorization", ""), methods)


# RFC 6749, 5.1.
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def _json(answer: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        headers={**_NO_STORE, **(headers or {})},
        body=json.dumps(answer).encode(),
        content_type="application/json",
    )


def _parsed(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form (RFC 6749, 3.1: none of them twice)."""
    if content_type.partition(";")[0].strip().lower() != _FORM:
        raise Refusal(415, "HTTP 415 Unsupported Media Type")
    pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "duplicated parameter")
    return form
