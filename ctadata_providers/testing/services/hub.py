"""The JupyterHub of the fake data centre: users, their tokens, and the page where they would log in."""

import itertools
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from aiohttp import web

from ctadata_providers.testing.exchange import Exchange

SERVICES = ("downloadservice", "certificateservice")
USER_PATH = "/hub/api/user"
AUTHORIZE_PATH = "/hub/api/oauth2/authorize"
_VERSION = "5.5.0"
_LOGIN_PATH = "/hub/login"
_CREDENTIAL = re.compile(r"(?:token|bearer)\s+(\S+)", re.IGNORECASE)
_ADMIN_SCOPES = ("admin:groups", "admin:servers", "admin:users")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubUser:
    """A user as a token tells of them.

    Attributes:
        name: The name.
        is_admin: Whether they administrate the hub.
        groups: Where they belong.
        scopes: What the token is good for.
    """

    name: str
    is_admin: bool
    groups: tuple[str, ...]
    scopes: tuple[str, ...]

    def may_use(self, service: str) -> bool:
        """Tell whether the token is good for a service."""
        return service_scope(service) in self.scopes


@dataclass(frozen=True, slots=True)
class _Token:
    user: HubUser
    id: str
    expires: float | None


def service_scope(service: str) -> str:
    """Return the scope that a token needs for a service."""
    return f"access:services!service={service}"


class Hub:
    """Users, tokens, and what the hub itself answers.

    Args:
        wall_clock: Gives the time of day.
    """

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._tokens: dict[str, _Token] = {}
        self._serial = itertools.count(1)

    def make_token(self, name: str, *, scope: bool, admin: bool, lifetime: float | None) -> str:
        """Return a new token of a user."""
        scopes = [f"read:users:groups!user={name}", f"read:users:name!user={name}"]
        scopes += map(service_scope, SERVICES if scope else ())
        scopes += _ADMIN_SCOPES if admin else ()
        user = HubUser(name=name, is_admin=admin, groups=("cta",), scopes=tuple(sorted(scopes)))
        token = secrets.token_hex(16)
        expires = None if lifetime is None else self._wall_clock() + lifetime
        self._tokens[token] = _Token(user, f"a{next(self._serial)}", expires)
        return token

    def revoke(self, token: str) -> None:
        """End a token; one that is not known is fine."""
        self._tokens.pop(token, None)

    def user(self, token: str) -> HubUser | None:
        """Return whose token it is, None for one that is not or no longer good."""
        found = self._find(token)
        return found.user if found else None

    def _find(self, token: str) -> _Token | None:
        found = self._tokens.get(token)
        if found and found.expires is not None and self._wall_clock() >= found.expires:
            return None
        return found

    # What it answers

    def answer(self, exchange: Exchange) -> web.Response:
        """Answer a request to the hub itself."""
        if exchange.method not in ("GET", "HEAD"):
            return self._headed(failure(405, "Method Not Allowed"))
        match exchange.path:
            case "/hub/api":
                response = _json({"version": _VERSION})
            case "/hub/api/user":
                response = self._tell_user(exchange.headers.get("Authorization", ""))
            case "/hub/health":
                response = web.Response(text="")
            case "/hub/api/oauth2/authorize":
                query = exchange.request.query_string
                target = quote(f"{AUTHORIZE_PATH}{'?' if query else ''}{query}", safe="")
                response = web.Response(status=302, headers={"Location": f"{_LOGIN_PATH}?next={target}"})
            case "/hub" | "/":
                response = web.Response(status=302, headers={"Location": _LOGIN_PATH})
            case "/hub/login":
                response = web.Response(text=_LOGIN_PAGE, content_type="text/html")
            case path if path.startswith("/hub/api/"):
                response = failure(404, "Not Found")
            case _:
                response = page(404, "Not Found", "Jupyter has lots of moons, but this is not one...")
        return self._headed(response)

    def _tell_user(self, authorization: str) -> web.Response:
        """Say whose token it is, as JupyterHub 5 does for one that may read its owner's name and groups."""
        credential = _CREDENTIAL.fullmatch(authorization.strip())
        found = self._find(credential[1]) if credential else None
        if found is None:
            return failure(403, "Missing or invalid credentials.")
        user = found.user
        return _json(
            {
                "admin": user.is_admin,
                "groups": list(user.groups),
                "kind": "user",
                "name": user.name,
                "scopes": list(user.scopes),
                "session_id": None,
                "token_id": found.id,
            }
        )

    def _headed(self, response: web.Response) -> web.Response:
        response.headers.update({"Server": "TornadoServer/6.5.2", "X-Jupyterhub-Version": _VERSION})
        return response


_LOGIN_PAGE = """<!DOCTYPE HTML>
<html>
<head><title>JupyterHub</title></head>
<body>
<h1>Sign in</h1>
<form action="/hub/login" method="post">
<input name="username"> <input name="password" type="password"> <input type="submit" value="Sign in">
</form>
</body>
</html>
"""


def failure(status: int, message: str) -> web.Response:
    """Return an error of the hub's API."""
    return _json({"status": status, "message": message}, status)


def page(status: int, title: str, text: str) -> web.Response:
    """Return an error as a page for people."""
    return web.Response(
        status=status,
        text=f"<!doctype html>\n<html lang=en>\n<title>{status} {escape(title)}</title>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>\n",
        content_type="text/html",
    )


def _json(answer: object, status: int = 200) -> web.Response:
    return web.Response(status=status, text=json.dumps(answer), content_type="application/json")
