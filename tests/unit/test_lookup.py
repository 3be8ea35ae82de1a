"""Many paths and patterns at once: what is there, and how few questions that takes."""

from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, CtaClient, NotADirError

FILES = ("a1", "a2", "b1", ".hidden", "odd [x]", "q?", "qq", "night/c1")


@pytest.fixture
def client(fake_cta: Any) -> Any:
    for name in FILES:
        fake_cta.put(f"/lst/{name}", b"x")
    with CtaClient(Config(**fake_cta.settings())) as made:
        yield made


def found(client: CtaClient, *patterns: str) -> dict[str, list[str]]:
    """Return the names of what is there, by pattern."""
    return {pattern: [info.name for info in infos] for pattern, infos in client.glob_many(patterns).items()}


def asked(fake_cta: Any) -> list[tuple[str, str | None]]:
    """Return what was asked: path and depth."""
    return [(r.path, r.headers.get("depth")) for r in fake_cta.requests if r.method == "PROPFIND"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("lst/a1", ["a1"]),
        ("cta://lst/a1", ["a1"]),
        ("lst/a1/", []),
        ("lst/night/", ["night"]),
        ("lst/night", ["night"]),
        ("lst/nothing", []),
        ("no/such/folder/file", []),
        ("lst/a1/below", []),
        ("lst/a*", ["a1", "a2"]),
        ("lst/*/", ["night"]),
        ("lst/*d*", ["odd [x]"]),
        ("lst/.h*", [".hidden"]),
        ("no/such/*", []),
        ("lst/odd [x]", ["odd [x]"]),
        ("lst/q?", ["q?"]),
        ("lst/**/c1", ["c1"]),
        ("lst/*/c1", ["c1"]),
        ("*/a1", ["a1"]),
        ("/", [""]),
    ],
)
@pytest.mark.parametrize("beside", [[], [f"lst/{name}" for name in ("a1", "a2", "b1", "x", "y")]])
def test_alone_or_beside_others_the_same_is_there(
    pattern: str, names: list[str], beside: list[str], client: CtaClient
) -> None:
    assert found(client, pattern, *beside)[pattern] == names


def test_a_few_names_are_asked_for_one_by_one(client: CtaClient, fake_cta: Any) -> None:
    found(client, "lst/a1", "lst/x", "lst/b1")

    assert asked(fake_cta) == [("/lst/a1", "0"), ("/lst/x", "0"), ("/lst/b1", "0")]


def test_for_more_of_them_their_folder_is_listed_once(client: CtaClient, fake_cta: Any) -> None:
    names = [f"lst/a{number}" for number in range(1000)]

    assert sum(bool(there) for there in found(client, *names).values()) == 2
    assert [depth for _, depth in asked(fake_cta)] == ["1"]


def test_patterns_of_a_folder_share_one_listing(client: CtaClient, fake_cta: Any) -> None:
    assert found(client, "lst/a*", "lst/b*", "lst/q?", "lst/a1") == {
        "lst/a*": ["a1", "a2"],
        "lst/b*": ["b1"],
        "lst/q?": ["q?"],
        "lst/a1": ["a1"],
    }
    assert [depth for _, depth in asked(fake_cta)] == ["1"]


def test_each_folder_is_asked_for_itself(client: CtaClient, fake_cta: Any) -> None:
    assert found(client, "lst/a*", "lst/night/*", "no/*")["lst/night/*"] == ["c1"]
    assert [depth for _, depth in asked(fake_cta)] == ["1", "1", "1"]


def test_parts_of_uploads_are_not_there(client: CtaClient, fake_cta: Any) -> None:
    fake_cta.put("/lst/.a1.1a2b3c4d.0123456789abcdef.ctapart", b"x")

    assert found(client, "lst/.*")["lst/.*"] == [".hidden"]


def test_a_file_is_no_folder_to_look_into(client: CtaClient) -> None:
    with pytest.raises(NotADirError, match="a1"):
        client.glob_many(["lst/a1/*"])


def test_nothing_asked_costs_nothing(client: CtaClient, fake_cta: Any, tmp_path: Path) -> None:
    assert client.glob_many([]) == {}
    assert asked(fake_cta) == []
