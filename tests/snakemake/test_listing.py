"""How long the listing cache believes what it saw."""

from collections.abc import Iterator

import pytest
from snakemake_storage_plugin_cta.listing import Listing

from ctadata_providers import CtaClient, PermissionDeniedError
from ctadata_providers.testing import FakeCta


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def listing(fake_cta: FakeCta, clock: Clock) -> Iterator[Listing]:
    with CtaClient(**fake_cta.settings()) as client:
        yield Listing(client, clock=clock)


def asked(cta: FakeCta) -> list[tuple[str, str]]:
    found = [(request.headers["depth"], request.path.rstrip("/")) for request in cta.requests]
    cta.clear_requests()
    return found


def test_a_file_that_was_there_is_believed_for_10_seconds(listing: Listing, fake_cta: FakeCta, clock: Clock) -> None:
    fake_cta.put("/lst/a", b"1")
    assert listing.find("/lst/a")
    fake_cta.reset()
    clock.now += 9.9
    assert listing.find("/lst/a")
    clock.now += 0.1

    assert listing.find("/lst/a") is None


def test_a_file_that_was_absent_is_believed_for_1_second(listing: Listing, fake_cta: FakeCta, clock: Clock) -> None:
    fake_cta.put("/lst/other", b"")
    assert listing.find("/lst/a") is None
    fake_cta.put("/lst/a", b"1")
    clock.now += 0.9
    assert listing.find("/lst/a") is None
    clock.now += 0.1

    assert listing.find("/lst/a")
    assert asked(fake_cta) == [("1", "/lst")] * 2


def test_a_listing_answers_for_all_names_of_its_folder(listing: Listing, fake_cta: FakeCta, clock: Clock) -> None:
    fake_cta.put("/lst/a", b"1")
    fake_cta.put("/lst/b", b"22")
    assert listing.find("/lst/none") is None
    clock.now += 5

    assert [listing.find(path).size for path in ("/lst/a", "/lst/b")] == [1, 2]  # type: ignore[union-attr]  # fails as wanted
    assert asked(fake_cta) == [("1", "/lst")]


def test_entries_are_never_older_than_absence_may_be(listing: Listing, fake_cta: FakeCta, clock: Clock) -> None:
    fake_cta.put("/lst/a", b"1")
    assert list(listing.entries("/lst")) == ["a"]
    fake_cta.put("/lst/b", b"1")
    assert list(listing.entries("/lst")) == ["a"]
    clock.now += 1

    assert sorted(listing.entries("/lst")) == ["a", "b"]


def test_a_file_where_a_folder_was_meant_holds_nothing(listing: Listing, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", b"1")

    assert listing.find("/lst/a/b") is None
    assert listing.entries("/lst/a") == {}


def test_what_was_stored_is_asked_for_alone(listing: Listing, fake_cta: FakeCta, clock: Clock) -> None:
    fake_cta.put("/lst/a", b"1")
    assert listing.find("/lst/b") is None
    fake_cta.put("/lst/b", b"22")
    asked(fake_cta)
    stored = listing.refresh("/lst/b")
    clock.now += 5

    assert stored is not None
    assert stored.size == 2
    assert listing.find("/lst/b") == stored
    assert listing.find("/lst/a")
    assert asked(fake_cta) == [("0", "/lst/b")]


def test_what_was_stored_has_parents_that_were_missing_before(listing: Listing, fake_cta: FakeCta) -> None:
    assert listing.find("/lst/x") is None
    assert listing.find("/lst/x/y") is None
    fake_cta.put("/lst/x/y/z", b"1")
    listing.refresh("/lst/x/y/z")

    assert listing.find("/lst/x")
    assert listing.find("/lst/x/y")


def test_a_removed_folder_takes_all_in_it_along(listing: Listing, fake_cta: FakeCta, clock: Clock) -> None:
    fake_cta.put("/lst/x/y/z", b"1")
    assert listing.find("/lst/x/y/z")
    assert listing.find("/lst/x")
    fake_cta.reset()
    listing.forget("/lst/x")

    assert listing.find("/lst/x") is None
    assert asked(fake_cta) == []
    assert listing.find("/lst/x/y/z") is None


def test_a_folder_that_may_not_be_listed_is_asked_name_by_name(fake_cta: FakeCta, clock: Clock) -> None:
    fake_cta.put("/lst/mine/d/a", b"1")
    settings = {**fake_cta.settings(), "token": fake_cta.make_token(scope="storage.create:/lst/mine")}
    with CtaClient(**settings) as client:
        listing = Listing(client, clock=clock)
        assert listing.find("/lst/mine/d/a")
        clock.now += 11
        assert listing.find("/lst/mine/d/a")
        assert listing.find("/lst/mine/d/b") is None

        with pytest.raises(PermissionDeniedError):
            listing.entries("/lst/mine/d")

    assert asked(fake_cta) == [("1", "/lst/mine/d"), *[("0", f"/lst/mine/d/{name}") for name in "aab"]]


def test_an_empty_folder_is_not_taken_for_one_that_may_not_be_listed(
    listing: Listing, fake_cta: FakeCta, clock: Clock
) -> None:
    fake_cta.make_dir("/lst/out")
    assert [listing.find(f"/lst/out/{name}") for name in "abc"] == [None] * 3
    assert asked(fake_cta) == [("1", "/lst/out"), ("0", "/lst/out/a")]
    clock.now += 2
    fake_cta.put("/lst/out/b", b"1")

    assert listing.find("/lst/out/a") is None
    assert listing.find("/lst/out/b")
    assert asked(fake_cta) == [("1", "/lst/out")]


def test_what_may_not_be_read_is_an_error(fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/other/a", b"1")
    settings = {**fake_cta.settings(), "token": fake_cta.make_token(scope="storage.read:/lst/mine")}

    with CtaClient(**settings) as client, pytest.raises(PermissionDeniedError, match="/lst/other"):
        Listing(client).find("/lst/other/a")
