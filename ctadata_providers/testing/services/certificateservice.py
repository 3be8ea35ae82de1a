"""The certificateservice: users delegate proxies to it, with which the downloadservice asks the storage."""

import datetime
import json
from collections.abc import Awaitable, Callable
from email.utils import format_datetime
from html import escape
from typing import Any

from aiohttp import web

from ctadata_providers.testing.exchange import Exchange, Refusal
from ctadata_providers.testing.services.certificates import CertificateError, Certificates, Stored
from ctadata_providers.testing.services.gate import Gate
from ctadata_providers.testing.services.hub import page
from ctadata_providers.testing.services.users import CERTIFICATE_KEYS

_TOO_LONG = (
    "certificate validity too long, please generate a short-lived (max 7 day) proxy certificate for uploading. "
    "Please see https://ctaodc.ch/ for more details."
)
Handler = Callable[[Exchange], Awaitable[web.Response]]


class CertificateService:
    """The service.

    Args:
        gate: Who may use it.
        certificates: What is stored.
    """

    def __init__(self, gate: Gate, certificates: Certificates) -> None:
        self._gate = gate
        self._certificates = certificates
        self._handlers: dict[str, dict[str, Handler]] = {
            "/": {"GET": self._home},
            "/health": {"GET": self._health},
            "/shared-certificate-status": {"GET": self._shared_status},
            "/certificate": {"GET": self._give, "POST": self._store},
            "/main-certificate": {"POST": self._store_shared},
        }

    async def handle(self, exchange: Exchange, path: str) -> web.StreamResponse:
        """Answer a request.

        Args:
            exchange: The request.
            path: What is asked for, below the address of the service.
        """
        methods = self._handlers.get(path)
        if methods is None:
            return page(404, "Not Found", "The requested URL was not found on the server.")
        allowed = ", ".join(sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
        if exchange.method == "OPTIONS":
            return web.Response(headers={"Allow": allowed})
        handler = methods.get("GET" if exchange.method == "HEAD" else exchange.method)
        if handler is None:
            response = page(405, "Method Not Allowed", "The method is not allowed for the requested URL.")
            response.headers["Allow"] = allowed
            return response
        try:
            return await handler(exchange)
        except CertificateError as error:
            return _text(400, str(error))

    async def _health(self, exchange: Exchange) -> web.Response:
        return _text(200, "OK - CertificateService up and running")

    async def _shared_status(self, exchange: Exchange) -> web.Response:
        shared = self._certificates.shared
        if shared is None:
            raise Refusal(500, "Internal Server Error")
        if self._certificates.has_expired(shared):
            return _text(500, "Unhealthy! - Shared certificate is outdated")
        return _text(200, "OK - Shared certificate configured and valid")

    async def _home(self, exchange: Exchange) -> web.Response:
        """Show a user what is stored."""
        user = await self._gate.admit(exchange, tells=False)
        rows = "".join(
            f"<tr><td>{key}</td><td>{escape(self._described(self._certificates.own(user.name, key)))}</td></tr>\n"
            for key in CERTIFICATE_KEYS
        )
        text = f"<!doctype html>\n<title>Certificates</title>\n<h1>{escape(user.name)}</h1>\n<table>\n{rows}</table>\n"
        return web.Response(text=text, content_type="text/html")

    def _described(self, stored: Stored | None) -> str:
        if stored is None:
            return "no certificate"
        return "outdated" if self._certificates.has_expired(stored) else "valid"

    async def _give(self, exchange: Exchange) -> web.Response:
        """Refuse: only other services are given certificates, by tokens of their own."""
        return _text(403, "Access denied, service-token scopes are invalid.")

    async def _store(self, exchange: Exchange) -> web.Response:
        user = await self._gate.admit(exchange, tells=False)
        data = await _json_of(exchange)
        pem, key, other = data.get("certificate"), data.get("certificate_key"), data.get("user")
        if key not in CERTIFICATE_KEYS or not (other is None or isinstance(other, str)) or not isinstance(pem, str):
            raise Refusal(500, "Internal Server Error")
        # In 0.4.11 everybody may do so for others, not only an administrator.
        validity = self._certificates.store(other or user.name, key, pem)
        told: object = [_TOO_LONG, 400] if validity is None else _http_date(validity)
        return _answer({"message": "Certificate stored", "validity": told})

    async def _store_shared(self, exchange: Exchange) -> web.Response:
        user = await self._gate.admit(exchange, tells=False)
        if not user.is_admin:
            return _text(401, "access denied")
        pem = (await _json_of(exchange)).get("certificate")
        if pem is None:
            return _text(400, "requests missing certificate or cabundle")
        if not isinstance(pem, str):
            raise Refusal(500, "Internal Server Error")
        if not self._certificates.store_shared(pem):
            return _text(400, _TOO_LONG)
        return _answer({"certificateUploaded": True, "message": "Shared certificate stored"})


async def _json_of(exchange: Exchange) -> dict[str, Any]:
    """Return what was sent as JSON."""
    kind = exchange.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "Unsupported Media Type")
    try:
        data = json.loads(await exchange.body())
    except ValueError as error:
        raise Refusal(400, "Bad Request") from error
    if not isinstance(data, dict):
        raise Refusal(500, "Internal Server Error")
    return data


def _http_date(moment: datetime.datetime) -> str:
    return format_datetime(moment, usegmt=True)


def _answer(answer: object) -> web.Response:
    return web.Response(text=json.dumps(answer) + "\n", content_type="application/json")


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/html")
