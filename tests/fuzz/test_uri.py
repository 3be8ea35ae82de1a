"""Addresses: what parses is canonical, and every literal name survives the way to the server and back."""

import posixpath
import unicodedata
from urllib.parse import unquote, urlsplit

import requests
from hypothesis import strategies as st

from ctadata_providers import Config
from ctadata_providers.backends.webdav import WebdavBackend
from ctadata_providers.errors import ConfigError
from ctadata_providers.uri import Address, format_uri, is_uri, join, parse, parse_path, segment_fault, split
from tests.fuzz.engine import either, holds
from tests.fuzz.strategies import changed, names, odd_text, paths

ADDRESSES = ("cta://lst/DL3/run.fits", "cta://dev@lst/a b#1/", "cta:///a@b/c", "cta://", "lst/DL3", "/lst/../x", "a//b")
BASES = ("/", "/pnfs/cta.example/a b#")
BACKENDS = {base: WebdavBackend(Config(door_url="https://door.example:2880", base_path=base)) for base in BASES}
texts = st.one_of(odd_text, odd_text.map("cta://".__add__), changed(ADDRESSES, "/@:.\0\n ~%\x85\u202e"))


def is_canonical(path: str) -> bool:
    """Tell, by another way than the parser's, whether a path can mean only one place."""
    controls = any(unicodedata.category(c) in ("Cc", "Cs") for c in path)
    return path.startswith("/") and not path.startswith("//") and posixpath.normpath(path) == path and not controls


@holds(text=texts)
def test_what_parses_is_canonical(text: str) -> None:
    address = either(lambda: parse(text), ConfigError)
    if isinstance(address, ConfigError):
        assert "not a usable address" in str(address)
        return

    assert is_canonical(address.path)
    assert parse(address.uri) == Address(address.path, None, is_folder=address.is_folder or address.path == "/")
    assert parse(address.path).path == address.path
    assert parse(address.uri).uri == address.uri
    assert is_uri(address.uri)
    assert address.name is None or is_uri(text)


@holds(text=texts)
def test_a_path_without_a_name_is_that_of_the_address(text: str) -> None:
    path = either(lambda: parse_path(text), ConfigError)
    if isinstance(path, ConfigError):
        return

    assert path == parse(text).path
    assert parse(text).name is None


@holds(path=paths, folder=st.booleans(), name=st.sampled_from(["", "dev@", "my conn@"]))
def test_every_path_has_one_address(path: str, folder: bool, name: str) -> None:
    address = parse(format_uri(path, folder=folder))
    named = parse(f"cta://{name}{path[1:]}") if name and not path.startswith("/@") and path != "/" else None

    assert (address.path, address.name) == (path, None)
    assert address.is_folder == (folder or path == "/")
    assert named is None or (named.path, named.name) == (path, name[:-1])


@holds(folder=paths, name=names)
def test_join_and_split_are_inverse(folder: str, name: str) -> None:
    assert split(join(folder, name)) == (folder, name)
    assert is_canonical(join(folder, name))


@holds(folder=paths, name=odd_text)
def test_nothing_leaves_its_folder(folder: str, name: str) -> None:
    joined = either(lambda: join(folder, name), ConfigError)
    if isinstance(joined, ConfigError):
        return

    assert posixpath.dirname(joined) == folder
    assert is_canonical(joined)


@holds(name=odd_text)
def test_a_name_that_may_be_used_is_one_canonical_segment(name: str) -> None:
    assert (segment_fault(name) is None) == (is_canonical(f"/{name}") and "/" not in name and name != "")


@holds(path=paths, base=st.sampled_from(BASES))
def test_a_name_survives_the_way_into_a_url_and_back(path: str, base: str) -> None:
    if "?" in path:
        return  # a server that is not known yet would be asked first
    url = BACKENDS[base]._url(path)
    sent = requests.Request("PROPFIND", url).prepare().url or ""

    for one in (url, sent):
        parts = urlsplit(one)
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "door.example:2880", "", "")
        assert unquote(parts.path, errors="strict") == base.rstrip("/") + path
    assert url.isascii()
