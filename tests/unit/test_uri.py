import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ctadata_providers import ConfigError
from ctadata_providers.uri import Address, format_uri, is_uri, join, parse, parse_path, segment_fault, split

SEGMENTS = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/"), min_size=1).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(SEGMENTS, max_size=4).map(lambda names: "/" + "/".join(names))
TRICKY = st.text(st.sampled_from("cta:/@. \0\n\x7f\x85\ud800#%?aZ"), max_size=20)
TEXTS = st.one_of(st.text(), TRICKY, TRICKY.map(lambda text: "cta://" + text))


@given(PATHS, st.booleans())
@example("/a@b/c", False)
@example("/", True)
@example("/cta:", False)
def test_a_formatted_path_parses_to_itself(path: str, folder: bool) -> None:
    address = parse(format_uri(path, folder=folder))

    assert address == Address(path=path, name=None, is_folder=folder or path == "/")


@given(TEXTS)
@example("cta://a@b@c/d")
@example("cta:////")
@example("..")
def test_an_accepted_address_holds_nothing_that_could_lead_elsewhere(text: str) -> None:
    try:
        address = parse(text)
    except ConfigError:
        assume(False)
    segments = address.path.split("/")[1:] if address.path != "/" else []

    assert address.path.startswith("/")
    assert not set(segments) & {"", ".", ".."}
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in address.path + (address.name or ""))


@given(TEXTS)
def test_an_accepted_address_has_one_canonical_form(text: str) -> None:
    try:
        address = parse(text)
    except ConfigError:
        assume(False)
    again = parse(address.uri)

    assert again == Address(path=address.path, name=None, is_folder=address.is_folder)
    assert again.uri == address.uri


@given(PATHS, SEGMENTS)
def test_join_is_undone_by_split(folder: str, name: str) -> None:
    assert split(join(folder, name)) == (folder, name)


@pytest.mark.parametrize(
    ("text", "path", "name", "is_folder"),
    [
        ("cta://lst/DL1/a.h5", "/lst/DL1/a.h5", None, False),
        ("cta:///lst/DL1/a.h5", "/lst/DL1/a.h5", None, False),
        ("cta://lst/", "/lst", None, True),
        ("cta://", "/", None, True),
        ("cta:///", "/", None, True),
        ("cta://dev@lst/a", "/lst/a", "dev", False),
        ("cta://dev@", "/", "dev", True),
        ("cta://dev@/", "/", "dev", True),
        ("cta://dev@/lst/a", "/lst/a", "dev", False),
        ("cta://dev@/a@b/c", "/a@b/c", "dev", False),
        ("cta://dev@a@b/c", "/a@b/c", "dev", False),
        ("cta:///a@b/c", "/a@b/c", None, False),
        ("cta://lst/a@b", "/lst/a@b", None, False),
        ("lst/DL3", "/lst/DL3", None, False),
        ("/lst/DL3/", "/lst/DL3", None, True),
        ("a@b/c", "/a@b/c", None, False),
        ("/", "/", None, True),
    ],
)
def test_the_forms_of_an_address(text: str, path: str, name: str | None, is_folder: bool) -> None:
    assert parse(text) == Address(path=path, name=name, is_folder=is_folder)


@pytest.mark.parametrize(
    "name", ["a b", "h#h", "p%41q", "a+b", "[x]", "it's", "a&b;c=d", "ü", "日本", "q?x", "a..b", "…"]
)
def test_names_are_literal(name: str) -> None:
    assert parse(f"cta://lst/{name}").path == f"/lst/{name}"
    assert parse(f"lst/{name}").uri == f"cta://lst/{name}"


@pytest.mark.parametrize("prefix", ["cta://", "cta:///", "cta://dev@", "/", ""])
@pytest.mark.parametrize(
    "bad", ["a//b", "a/./b", "a/../b", "..", ".", "a/..", "a\0b", "a/b\n", "\x7f", "\x85/a", "\udc80"]
)
def test_what_could_lead_elsewhere_is_refused(prefix: str, bad: str) -> None:
    with pytest.raises(ConfigError, match="not a usable address"):
        parse(prefix + bad)


@pytest.mark.parametrize(
    "text", ["https://door/a", "file:///etc/passwd", "CTA://lst", "s3://bucket/key", "//", "cta:////a", "cta://dev@//a"]
)
def test_other_schemes_and_empty_names_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)


@pytest.mark.parametrize("text", ["cta://@lst/a", "cta://de\nv@lst", "cta://..\x00@lst"])
def test_an_unusable_name_before_the_at_sign_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)


def test_the_error_shows_the_text_escaped_and_a_remedy() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("lst/a\nb")

    assert "\n" not in str(caught.value)
    assert "write cta://" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_parse_path_refuses_a_second_profile() -> None:
    assert parse_path("cta://lst/a/") == "/lst/a"
    with pytest.raises(ConfigError, match="dev@"):
        parse_path("cta://dev@lst/a")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", "../x"])
def test_join_refuses_a_name_that_could_leave_the_folder(name: str) -> None:
    assert segment_fault(name) is not None
    with pytest.raises(ConfigError):
        join("/lst", name)


def test_only_the_exact_scheme_is_an_address() -> None:
    assert is_uri("cta://")
    assert not is_uri(" cta://lst")
    assert not is_uri("cta:/lst")


@pytest.mark.parametrize("text", ["cta:/lst/x", "cta:lst/x", "cta:", "cta:/", str(Path("cta://lst/x"))])
def test_an_address_that_has_lost_a_slash_is_no_folder_named_cta(text: str) -> None:
    with pytest.raises(ConfigError, match="two slashes belong behind") as caught:
        parse(text)

    assert caught.value.remedy is not None
    if "x" in text:
        assert caught.value.remedy.startswith("write cta://lst/x;")


@pytest.mark.parametrize("text", ["/cta:/x", "cta:///cta:/x", "cta://cta:/x"])
def test_a_folder_of_that_name_can_be_named(text: str) -> None:
    assert parse(text).path == "/cta:/x"


def test_an_address_is_immutable() -> None:
    address = parse("cta://lst")

    with pytest.raises(AttributeError):
        address.path = "/other"  # type: ignore[misc]  # that is what is tried
