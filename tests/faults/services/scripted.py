"""A downloadservice on loopback, with its hub: a scripted server whose names are encoded twice."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, unquote

from ctadata_providers import CtaClient
from tests.faults.asked import Asked
from tests.faults.multistatus import listing
from tests.faults.ranges import found
from tests.faults.scripted import RIGHT, Act, Door, Exchange, _entries, find, nothing

BASE = "/services/downloadservice"
TOKEN = "hub-token-of-test"
SCOPE = "access:services!service=downloadservice"
PNFS, SHOWN = b":href>/pnfs/cta.cscs.ch/", b":href>/services/downloadservice/webdav/"
LOGIN = "/hub/api/oauth2/authorize?client_id=service-downloadservice&state=abc"
HOME = "/lst/users/alice"
PATH = "/lst/night/events.fits"
OURS = f"{HOME}/events.fits"
ODD = "a..b #1 p%41q ü?(x)[y].fits"
Client = Callable[..., CtaClient]


@dataclass
class Service(Door):
    """The service. A fault is told by its method, which for a route of its own is FETCH, LIST, UPLOAD or USER.

    Attributes:
        name: Whose token it is.
        scopes: What it is good for.
        webdav: Whether there is the WebDAV route.
    """

    name: str = "alice"
    scopes: list[str] = field(default_factory=lambda: [SCOPE])
    webdav: bool = True

    @property
    def service_url(self) -> str:
        return f"{self.url}{BASE}/"

    def _next_act(self, asked: Asked) -> Act:
        route, asked.path = self._route(asked)
        asked.method = {"GET webdav": "GET", "GET fetch": "FETCH", "GET list": "LIST", "POST upload": "UPLOAD"}.get(
            f"{asked.method} {route}", "USER" if route == "user" else asked.method
        )
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return refused
        if route == "nowhere" or (route == "webdav" and not self.webdav):
            return lambda exchange: exchange.answer(404)
        if route == "webdav" and asked.method in ("DELETE", "MOVE", "COPY", "LOCK", "POST"):
            return lambda exchange: exchange.answer(405)
        chosen = Door._next_act(self, asked)
        return SERVICE.get(asked.method, chosen) if chosen in RIGHT.values() or chosen is nothing else chosen

    def _route(self, asked: Asked) -> tuple[str, str]:
        if asked.path == "/hub/api/user":
            return "user", asked.path
        route, _, place = asked.path.removeprefix(BASE + "/").partition("/")
        if asked.path == f"{BASE}/list":
            return "list", "/"
        if not place or not asked.path.startswith(BASE + "/") or ".." in place:
            return "nowhere", asked.path
        place = unquote(place)
        return route, f"{HOME}/{place}" if route == "upload" else f"/{place}"


def refused(exchange: Exchange) -> None:
    """Tell a bad token by 401 to who sends the right Content-Type, and send all others to the login page."""
    if exchange.asked.headers.get("content-type") == "application/json":
        exchange.answer(401, body=b'{"message": "Invalid or missing Bearer token"}')
    else:
        exchange.answer(302, f"Location: {LOGIN}")


def get(exchange: Exchange) -> None:
    if find(exchange) is not None:
        status, headers, body = found(exchange)
        exchange.answer(status, *headers, body=body.replace(PNFS, SHOWN))


def fetch(exchange: Exchange) -> None:
    """Send the file in chunks, or a page that passes for it."""
    assert parse_qs(exchange.asked.query)["chunk_size"] == ["1048576"]
    page(exchange, exchange.door.files.get(exchange.asked.path, b"Error: 404 <html>no such file</html>"))


def page(exchange: Exchange, content: bytes, *, end: bool = True) -> None:
    """Send any content by chunks, as the service does."""
    exchange.head(200, "Transfer-Encoding: chunked", "Content-Type: application/octet-stream")
    for at in range(0, len(content), 1 << 20):
        piece = content[at : at + (1 << 20)]
        exchange.body(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    if end:
        exchange.body(b"0\r\n\r\n")


def propfind(exchange: Exchange) -> None:
    door, path = exchange.door, exchange.asked.path.rstrip("/")
    if path not in door.files and not door.is_dir(path):
        exchange.answer(404)
        return
    depth = exchange.asked.headers.get("depth") if path not in door.files else "0"
    responses = _entries(door, path, depth)
    exchange.answer(207, body=listing(*(told.replace("<D:href>", f"<D:href>{BASE}/webdav") for told in responses)))


def list_json(exchange: Exchange) -> None:
    door, path = exchange.door, exchange.asked.path.rstrip("/") or "/"
    if path not in door.files and not door.is_dir(path):
        exchange.answer(404, body=b"Error: 404 no such file")
        return
    below = path.rstrip("/") + "/"
    names = {name[len(below) :].partition("/")[0] for name in (*door.files, *door.folders) if name.startswith(below)}
    exchange.answer(
        200, body=json.dumps([_listed(door, place) for place in (path, *(below + n for n in names))]).encode()
    )


def _listed(door: Door, path: str) -> dict[str, str]:
    href, told = quote(path.strip("/")), {"mtime": "Mon, 30 Nov 2026 04:00:00 GMT"}
    if path == "/":
        return {"href": "", "type": "file", **told}
    if path in door.files:
        return {"href": href, "type": "file", "size": str(door.size(path)), **told}
    return {"href": href + "/", "type": "directory", **told}


def put(exchange: Exchange) -> None:
    door, path = exchange.door, exchange.asked.path
    exists = path in door.files
    if exists and exchange.asked.headers.get("if-none-match") == "*":
        exchange.answer(412)
    elif not path.startswith(HOME + "/"):
        exchange.answer(403, body=b"Access denied", reason="Write access denied")
    elif not door.is_dir(path.rpartition("/")[0]):
        exchange.answer(409)
    else:
        door.files[path] = b"".join(exchange.chunks())
        exchange.answer(204 if exists else 201)


def upload(exchange: Exchange) -> None:
    door, path = exchange.door, exchange.asked.path
    exists = path in door.files
    if not door.is_dir(path.rpartition("/")[0]):
        exchange.answer(409)
        return
    door.files[path] = b"".join(exchange.chunks())
    if exists:
        exchange.answer(204)
    else:
        told = {"path": quote(path.lstrip("/")), "status": "uploaded", "total_written": len(door.files[path])}
        exchange.answer(200, body=json.dumps(told).encode())


def user(exchange: Exchange) -> None:
    door = exchange.door
    assert isinstance(door, Service)
    exchange.answer(200, body=json.dumps({"name": door.name, "scopes": door.scopes, "kind": "user"}).encode())


SERVICE: dict[str, Act] = {
    "GET": get,
    "FETCH": fetch,
    "PROPFIND": propfind,
    "LIST": list_json,
    "PUT": put,
    "UPLOAD": upload,
    "USER": user,
}
