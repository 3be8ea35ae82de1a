import base64
import hashlib
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctadata_providers import UnsupportedError
from ctadata_providers.checksum import (
    ALGORITHMS,
    Adler32,
    canonical_algorithm,
    common_algorithm,
    new_hasher,
    parse_digests,
)

LENGTHS = {"adler32": 8, "md5": 32, "sha": 40, "sha-256": 64, "sha-512": 128}
REFERENCE = {
    "adler32": lambda data: f"{zlib.adler32(data):08x}",
    "md5": lambda data: hashlib.md5(data).hexdigest(),
    "sha": lambda data: hashlib.sha1(data).hexdigest(),
    "sha-256": lambda data: hashlib.sha256(data).hexdigest(),
    "sha-512": lambda data: hashlib.sha512(data).hexdigest(),
}


@pytest.mark.parametrize("algorithm", sorted(LENGTHS))
@given(st.lists(st.binary(max_size=300), max_size=5))
@example([])
@example([b"\xff" * 70_000])
def test_a_hasher_agrees_with_the_standard_library_however_the_bytes_are_cut(
    algorithm: str, pieces: list[bytes]
) -> None:
    hasher = new_hasher(algorithm)
    for number, piece in enumerate(pieces):
        hasher.update(memoryview(piece) if number % 2 else piece)

    assert hasher.hexdigest() == REFERENCE[algorithm](b"".join(pieces))


def test_the_algorithms_are_those_of_the_registry_cheapest_first() -> None:
    assert set(ALGORITHMS) == set(LENGTHS)
    assert ALGORITHMS[0] == "adler32"


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("ADLER32", "adler32"),
        ("adler", "adler32"),
        ("MD5", "md5"),
        ("SHA1", "sha"),
        ("sha256", "sha-256"),
        ("SHA-512", "sha-512"),
    ],
)
def test_algorithms_have_one_name(given_name: str, name: str) -> None:
    assert canonical_algorithm(given_name) == name


@pytest.mark.parametrize("name", ["", "crc32", "sha-384", "adler32 ", "sha-1-x"])
def test_an_unknown_algorithm_is_unsupported_and_says_what_is(name: str) -> None:
    with pytest.raises(UnsupportedError, match="adler32"):
        new_hasher(name)


def test_an_adler32_of_little_has_its_leading_zeros() -> None:
    hasher = Adler32()
    hasher.update(b"\x01")

    assert hasher.hexdigest() == "00020002"


def _spelled(algorithm: str, hexadecimal: str) -> list[str]:
    """Return how servers write a digest: hexadecimal, base64 (RFC 3230), a byte sequence (RFC 9530)."""
    encoded = base64.b64encode(bytes.fromhex(hexadecimal)).decode()
    return [
        f"{algorithm}={hexadecimal}",
        f"{algorithm.upper()}={hexadecimal.upper()}",
        f" {algorithm} = {encoded} ",
        f"{algorithm}=:{encoded}:",
    ]


@given(st.binary(), st.sampled_from(sorted(LENGTHS)), st.integers(0, 3))
def test_every_spelling_of_a_digest_is_read(data: bytes, algorithm: str, spelling: int) -> None:
    expected = REFERENCE[algorithm](data)

    assert parse_digests([_spelled(algorithm, expected)[spelling]]) == {algorithm: expected}


@given(st.binary(), st.lists(st.sampled_from(sorted(LENGTHS)), unique=True))
def test_several_digests_in_one_value_or_in_many_are_read(data: bytes, algorithms: list[str]) -> None:
    expected = {algorithm: REFERENCE[algorithm](data) for algorithm in algorithms}
    spelled = [_spelled(algorithm, value)[2] for algorithm, value in expected.items()]

    assert parse_digests(spelled) == expected
    assert parse_digests([",".join(spelled)]) == expected


@given(st.lists(st.one_of(st.text(), st.tuples(st.sampled_from(sorted(LENGTHS)), st.text()).map("=".join))))
@example(["md5=é"])
@example(["adler32=²"])
@example(["sha-256=" + "0" * 63])
def test_whatever_a_server_sends_only_well_formed_digests_come_out(values: list[str]) -> None:
    for algorithm, value in parse_digests(values).items():
        assert len(value) == LENGTHS[algorithm]
        assert set(value) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "adler32",
        "adler32=",
        "=d0d70d2d",
        "crc32c=AAAA",
        "adler32=xyz",
        "md5=d0d70d2d",
        "adler32=d0d70d2d0",
        "md5=::",
        "sha-256=AAAA",
    ],
)
def test_what_cannot_be_understood_is_left_out(value: str) -> None:
    assert parse_digests([value]) == {}


def test_an_adler32_without_leading_zeros_is_completed() -> None:
    assert parse_digests(["adler32=d70d2d"]) == {"adler32": "00d70d2d"}


def test_the_cheapest_known_algorithm_is_chosen() -> None:
    assert common_algorithm({"sha-512": "..", "md5": ".."}) == "md5"
    assert common_algorithm({"crc32c": ".."}) is None
    assert common_algorithm({}) is None
