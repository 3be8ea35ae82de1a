import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctadata_providers.transfer.names import MAX_NAME_BYTES, address_hash, is_part, part_name
from ctadata_providers.uri import segment_fault

NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/"), min_size=1, max_size=255)


@given(NAMES)
@example("x" * 255)
@example("日" * 85)
@example("..")
def test_a_parts_name_is_hidden_fits_and_is_recognised(name: str) -> None:
    part = part_name(name, "https://door/lst/a")

    assert part.startswith(".")
    assert part.endswith(".ctapart")
    assert len(part.encode()) <= MAX_NAME_BYTES
    assert is_part(part)
    assert segment_fault(part) is None


def test_a_short_name_is_in_its_parts_name_with_the_hash_of_the_address() -> None:
    part = part_name("events.fits", "https://door/lst/events.fits")

    assert part.startswith(f".events.fits.{address_hash('https://door/lst/events.fits')}.")


def test_no_two_parts_have_one_name() -> None:
    names = {part_name("a", "b") for _ in range(1000)}

    assert len(names) == 1000


@pytest.mark.parametrize("raw", [b"\xff", b"a\xe9" * 100, b"\xff" * 255])
def test_a_local_name_that_is_not_utf8_has_a_part_too(raw: bytes) -> None:
    part = part_name(os.fsdecode(raw), "x")

    assert is_part(part)
    assert len(os.fsencode(part)) <= MAX_NAME_BYTES


@pytest.mark.parametrize("name", [".a.ctapart", ".events.fits.1a2b3c4d.0123.ctapart", "..ctapart"])
def test_hidden_names_with_our_ending_are_parts(name: str) -> None:
    assert is_part(name)


@pytest.mark.parametrize("name", ["a.ctapart", ".ctapart", ".a.ctapart.fits", ".a.CTAPART", ".a", "ctapart", ""])
def test_other_names_are_not(name: str) -> None:
    assert not is_part(name)


def test_an_address_has_one_hash() -> None:
    assert address_hash("x") == address_hash("x") != address_hash("y")
    assert len(address_hash("\udcff")) == 8


def test_the_part_of_a_name_with_a_line_break_is_hidden_too() -> None:
    assert is_part(part_name("a\nb", "https://door/lst/a"))
