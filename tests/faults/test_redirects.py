"""Redirects: where they may lead, and that no credential goes along."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from ctadata_providers import CtaError, TransientError
from tests.faults.cells import Told, assert_nothing_secret
from tests.faults.redirected import CREDENTIALS, METHODS, PATH, TOKEN, Servers, ask, assert_nothing_else, names_resolve

__all__ = ["ask", "names_resolve"]

UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
SIGNED = f"dcache-http-uuid={UUID}&dcache-http-ref=https%3A%2F%2Fdoor"
SECRETS = (TOKEN, UUID, "wonderland")


@dataclass(frozen=True)
class Way:
    """A row of the matrix.

    Attributes:
        what: Its name.
        locations: The Locations, one after the other.
        asked: Who is asked; `+` sees the credential, `-` does not, `!` stands for an error.
        settings: What the user has set.
        software: What the servers say that they are.
    """

    what: str
    locations: tuple[str | tuple[str, ...] | None, ...]
    asked: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    software: str = "scripted"


def trust(*hosts: str) -> Mapping[str, Any]:
    return {"trusted_hosts": hosts}


HOST, NAME, DOMAIN, END = trust("127.0.0.1"), trust("localhost"), trust("*.localhost"), trust("ol.localhost")
HTTP = {"allow_http_pools": True}
BOTH = {**HTTP, **NAME}
# fmt: off
WAYS = [
    #   what                                  Locations                                     who is asked
    Way("same origin, path",                  ("/moved",),                                  "door+ door+"),
    Way("same origin, URL",                   ("{door}/moved",),                            "door+ door+"),
    Way("same origin, capitals",              ("{DOOR}/moved",),                            "door+ door+"),
    Way("other port",                         ("{other}/x",),                               "door+ other-"),
    Way("other name of the host",             ("{alias}/x",),                               "door+ alias-"),
    Way("other host and port",                ("{host}/x",),                                "door+ host-"),
    Way("single-use URL",                     ("{other}/x?" + SIGNED,),                     "door+ other-"),
    Way("trusted host",                       ("{host}/x",),                                "door+ host+", HOST),
    Way("trusted host, door's name",          ("{other}/x",),                               "door+ other+", NAME),
    Way("trusted domain",                     ("{pool}/x",),                                "door+ pool+", DOMAIN),
    Way("trusted domain, not itself",         ("{other}/x",),                               "door+ other-", DOMAIN),
    Way("trusted end of a name",              ("{pool}/x",),                                "door+ pool-", END),
    Way("trusted, then not",                  ("{host}/x", "{other}/y"),                    "door+ host+ other-", HOST),
    Way("https to http",                      ("{plain}/x",),                               "door+ !"),
    Way("https to http, trusted",             ("{plain}/x",),                               "door+ !", NAME),
    Way("https to http, allowed",             ("{plain}/x",),                               "door+ plain-", HTTP),
    Way("https to http, allowed, trusted",    ("{plain}/x",),                               "door+ plain-", BOTH),
    Way("away and back to the file",          ("{other}/x", "{door}" + PATH),               "door+ other- door+"),
    Way("away and back to another file",      ("{other}/x", "{door}/precious"),             "door+ other- door-"),
    Way("by http and back to another file",   ("{plain}/x", "{door}/precious"),             "door+ plain- door-", HTTP),
    Way("by a trusted host to another file",  ("{host}/x", "{door}/moved"),                 "door+ host+ door+", HOST),
    Way("in a circle",                        (PATH,) * 9,                                  "door+ " * 6 + "!"),
    Way("in a circle over two",               ("{other}/x", "{door}" + PATH) * 5,           "door+ other- " * 3 + "!"),
    Way("five redirects",                     ("/1", "/2", "/3", "/4", "/5"),               "door+ " * 5 + "door+"),
    Way("six redirects",                      ("/1", "/2", "/3", "/4", "/5", "/6"),         "door+ " * 6 + "!"),
]
ODD = [
    #   what                                  Locations                                     who is asked
    Way("no Location",                        (None,),                                      "door+ !"),
    Way("empty",                              ("",),                                        "door+ !"),
    Way("several",                            (("/a", "{other}/b"),),                       "door+ !"),
    Way("the same twice",                     (("/a", "/a"),),                              "door+ door+"),
    Way("relative",                           ("moved",),                                   "door+ door+"),
    Way("relative, upwards",                  ("../../../moved",),                          "door+ door+"),
    Way("host alone",                         ("//localhost:{port}/moved",),                "door+ door+"),
    Way("other host alone",                   ("//127.0.0.1:{port}/moved",),                "door+ alias-"),
    Way("query alone",                        ("?" + SIGNED,),                              "door+ door+"),
    Way("fragment",                           ("{other}/x#" + TOKEN,),                      "door+ other-"),
    Way("blank in the path",                  ("{other}/a b",),                             "door+ other-"),
    Way("raw UTF-8 in the path",              ("{other}/Gr\xc3\xb6\xc3\x9fe",),             "door+ other-"),
    Way("bytes that are no text",             ("{other}/\xff\xfe",),                        "door+ other-"),
    Way("user and password",                  ("https://alice:wonderland@localhost:{port}/",),"door+ !"),
    Way("user",                               ("https://alice@localhost:{port}/",),         "door+ !"),
    Way("empty user",                         ("https://@localhost:{port}/",),              "door+ !"),
    Way("two @",                              ("https://localhost:{port}@a@127.0.0.1/",),   "door+ !"),
    Way("file:",                              ("file:///etc/passwd",),                      "door+ !"),
    Way("ftp:",                               ("ftp://localhost:{port}/x",),                "door+ !"),
    Way("gopher:",                            ("gopher://localhost:{port}/x",),             "door+ !"),
    Way("javascript:",                        ("javascript:alert(1)",),                     "door+ !"),
    Way("data:",                              ("data:text/plain,x",),                       "door+ !"),
    Way("no host",                            ("https:///x",),                              "door+ !"),
    Way("port too large",                     ("https://localhost:99999/x",),               "door+ !"),
    Way("port 0",                             ("https://localhost:0/x",),                   "door+ !"),
    Way("port is a word",                     ("https://localhost:port/x",),                "door+ !"),
    Way("port in other digits",               ("https://localhost:\xd9\xa3\xd9\xa3/x",),    "door+ !"),
    Way("half of an IPv6 address",            ("https://[::1/x",),                          "door+ !"),
    Way("star",                               ("https://*.localhost:{port}/x",),            "door+ !", DOMAIN),
    Way("dot",                                ("https://.localhost:{port}/x",),             "door+ !", DOMAIN),
    Way("blank in the host",                  ("https://local host:{port}/x",),             "door+ !"),
    Way("encoded host",                       ("https://127.0.0.1%2f.localhost:{port}/x",), "door+ !", DOMAIN),
    # urllib3 ends the host at the backslash, urlsplit does not: the token would go to 127.0.0.1.
    Way("backslash in the host",              ("https://127.0.0.1:{port}\\.localhost/x",),  "door+ !", DOMAIN),
    Way("backslash in the host, no port",     ("https://127.0.0.1\\.localhost:{port}/x",),  "door+ !", DOMAIN),
    Way("non-ASCII host",                     ("https://m\xc3\xbc.localhost:{port}/x",),      "door+ !", DOMAIN),
    Way("control character",                  ("https://local\x01host:{port}/x",),          "door+ !"),
    Way("next line",                          ("https://localhost:{port}/\r\n x",),         "door+ door+"),
    Way("very long",                          ("{other}/" + "x" * 60_000,),                 "door+ other-"),
]
XROOTD, SAME, ENCODED = "XrootD/v5.8.1", "{other}" + PATH, TOKEN.replace("a", "%61")
TOKENS = [
    #   what                                  Locations                                     who is asked
    Way("our token in a URL",                 ("{other}/x?authz=Bearer%20{token}",),        "door+ !"),
    Way("our token, encoded",                 ("{other}/x?access_token=" + ENCODED,),      "door+ !"),
    Way("our token in a path",                ("{other}/{token}/x",),                       "door+ !"),
    Way("our token over http",                ("{plain}/x?authz={token}",),                 "door+ !", BOTH),
    Way("by XRootD",                          (SAME + "?authz=Bearer%20{token}",),          "door+ other+", {}, XROOTD),
    Way("by XRootD, bare",                    (SAME + "?authz={token}",),                   "door+ other+", {}, XROOTD),
    Way("by XRootD, with more",               (SAME + "?" + SIGNED + "&authz={token}",),    "door+ other+", {}, XROOTD),
    Way("by XRootD, elsewhere",               ("{other}/x?authz=Bearer%20{token}",),        "door+ !", {}, XROOTD),
    Way("by XRootD, over http",               ("{plain}" + PATH + "?authz={token}",),       "door+ !", BOTH, XROOTD),
]
# fmt: on


def walk(way: Way, method: str, credential: str, ask: Callable[..., object], told: Told) -> None:
    """Go one way with one method and credential, and check what everybody has seen of it."""
    wanted = (way.asked if credential != "none" else way.asked.replace("+", "-")).split()
    errors = []
    with Servers(way.locations, way.software) as servers:
        try:
            ask(servers, method, credential, way.settings)
        except CtaError as error:
            errors.append(error)

    assert [*servers.asked(credential).split(), *("!" for _ in errors)] == wanted
    assert_nothing_else(servers, credential, SIGNED)
    assert_nothing_secret(told.text(*errors), *SECRETS)
    for error in errors:
        assert not isinstance(error, TransientError)
        assert PATH in str(error)


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.what)
def test_no_credential_leaves_its_origin(
    way: Way, method: str, credential: str, ask: Callable[..., object], told: Told
) -> None:
    walk(way, method, credential, ask, told)


@pytest.mark.parametrize("method", ["GET", "PUT, Expect", "PROPFIND"])
@pytest.mark.parametrize("way", ODD, ids=lambda way: way.what)
def test_an_odd_location_is_followed_without_credential_or_refused(
    way: Way, method: str, ask: Callable[..., object], told: Told
) -> None:
    walk(way, method, "token", ask, told)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", TOKENS, ids=lambda way: way.what)
def test_a_location_that_holds_our_token_makes_nobody_see_it(
    way: Way, method: str, ask: Callable[..., object], told: Told
) -> None:
    walk(way, method, "token", ask, told)
