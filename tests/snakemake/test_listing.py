"""What is asked, how often, and how long the answers are believed."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest
from snakemake_storage_plugin_cta import StorageObject, known
from snakemake_storage_plugin_cta.listing import Listing

from ctadata_providers import CtaClient, FileInfo, NotFoundError, PermissionDeniedError
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


def paths(names: str, folder: str = "/lst") -> list[str]:
    return [f"{folder}/{name}" for name in names]


def test_fewer_than_4_wanted_objects_are_looked_at_one_by_one(listing: Listing, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", b"1")
    listing.want(paths("abc"))

    assert [listing.find(path) is not None for path in paths("abc") * 3] == [True, False, False] * 3
    assert sorted(asked(fake_cta)) == [("0", path) for path in paths("abc")]


def test_4_wanted_objects_cost_one_listing_and_missing_ones_nothing_more(listing: Listing, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", b"1")
    listing.want(paths("abcdefghij"))

    assert [listing.find(path) is not None for path in paths("abcdefghij")] == [True] + [False] * 9
    assert asked(fake_cta) == [("1", "/lst")]


def test_objects_that_become_known_one_after_the_other_are_listed_from_the_fourth(
    listing: Listing, fake_cta: FakeCta
) -> None:
    for path in paths("abcdefghij"):
        fake_cta.put(path, b"1")

    assert all(listing.find(path) for path in paths("abcdefghij"))
    assert asked(fake_cta) == [*(("0", path) for path in paths("abc")), ("1", "/lst")]


def test_what_will_be_asked_for_is_asked_at_the_same_time(fake_cta: FakeCta, clock: Clock) -> None:
    waiting = threading.Barrier(5, timeout=20)

    class Slow(CtaClient):
        """Answers when 5 questions are under way."""

        def list_dir(self, path: str) -> Iterator[FileInfo]:
            waiting.wait()
            return super().list_dir(path)

    folders = [f"/lst/{number}" for number in range(5)]
    for folder in folders:
        for path in paths("abcde", folder):
            fake_cta.put(path, b"1")
    with Slow(**fake_cta.settings()) as client:
        listing = Listing(client, clock=clock)
        listing.want(path for folder in folders for path in paths("abcde", folder))

        assert all(listing.find(path) for folder in folders for path in paths("abcde", folder))
    assert sorted(asked(fake_cta)) == [("1", folder) for folder in folders]


def test_who_waits_for_the_same_waits_for_one_request(listing: Listing, fake_cta: FakeCta) -> None:
    for path in paths("abcdefghij"):
        fake_cta.put(path, b"1")
    listing.want(paths("abcdefghij"))

    async def all_at_once() -> list[FileInfo | None]:
        return await asyncio.gather(*(listing.found(path) for path in paths("abcdefghij") * 5))

    assert all(asyncio.run(all_at_once()))
    assert asked(fake_cta) == [("1", "/lst")]


def test_what_is_there_is_believed_for_10_seconds(listing: Listing, fake_cta: FakeCta, clock: Clock) -> None:
    for path in paths("abcd"):
        fake_cta.put(path, b"1")
    listing.want(paths("abcd"))
    assert all(listing.find(path) for path in paths("abcd"))
    fake_cta.reset()
    clock.now += 9.9
    assert all(listing.find(path) for path in paths("abcd"))
    clock.now += 0.1

    assert not any(listing.find(path) for path in paths("abcd"))


def test_what_is_absent_is_believed_for_1_second(listing: Listing, fake_cta: FakeCta, clock: Clock) -> None:
    fake_cta.put("/lst/other", b"")
    listing.want(paths("abcd"))
    assert listing.find("/lst/a") is None
    fake_cta.put("/lst/a", b"1")
    clock.now += 0.9
    assert listing.find("/lst/a") is None
    clock.now += 0.1

    assert listing.find("/lst/a")
    assert asked(fake_cta) == [("1", "/lst")] * 2


def test_answers_that_become_too_old_together_are_asked_for_together(
    listing: Listing, fake_cta: FakeCta, clock: Clock
) -> None:
    wanted = [path for number in range(5) for path in paths("abcde", f"/lst/{number}")]
    for path in wanted:
        fake_cta.put(path, b"1")
    listing.want(wanted)
    assert all(listing.find(path) for path in wanted)
    asked(fake_cta)
    clock.now += 6
    assert all(listing.find(path) for path in wanted)
    clock.now += 5
    assert listing.find(wanted[0])
    clock.now += 5  # the first folder was seen 5 s ago, and so were the others, without a question of their own

    assert all(listing.find(path) for path in wanted)
    assert len(asked(fake_cta)) == 5


@pytest.mark.parametrize(("wanted", "expected"), [(4, ["1", "0", "0", "0", "0"]), (10, ["1"])])
def test_a_large_folder_is_listed_as_a_whole_only_if_one_in_20_is_wanted(
    listing: Listing, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch, wanted: int, expected: list[str]
) -> None:
    monkeypatch.setattr(known, "GIVEN_UP_AFTER", 150)
    for number in range(200):
        fake_cta.put(f"/lst/{number:03}", b"1")
    chosen = [f"/lst/missing {number}" for number in range(wanted)]
    listing.want(chosen)

    assert not any(listing.find(path) for path in chosen * 2)
    assert [depth for depth, _ in asked(fake_cta)] == expected


def test_a_listing_is_given_up_after_20000_entries() -> None:
    folder = known.Folder(wanted=dict.fromkeys(map(str, range(999)), 0.0))
    enough = known.Folder(wanted=dict.fromkeys(map(str, range(1000)), 0.0))

    assert folder.holds_enough(19_999)
    assert not folder.holds_enough(20_000)
    assert enough.holds_enough(20_000)
    assert not enough.holds_enough(20_001)


def test_of_a_large_folder_one_file_is_looked_at_again_alone(
    listing: Listing, fake_cta: FakeCta, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "LISTED_AGAIN_AT_ONCE", 10)
    for number in range(20):
        fake_cta.put(f"/lst/{number}", b"1")
    listing.want([*paths("abcdefgh"), "/lst/1"])
    assert listing.find("/lst/a") is None
    for _ in range(3):
        clock.now += 1
        assert listing.find("/lst/a") is None
    assert asked(fake_cta) == [("1", "/lst"), *[("0", "/lst/a")] * 3]
    assert not any(listing.find(path) for path in paths("bcdefgh"))

    assert asked(fake_cta) == [("0", "/lst/b"), ("0", "/lst/c"), ("1", "/lst")]


def slow_listing(fake_cta: FakeCta, clock: Clock, seconds: float) -> Listing:
    """Make a listing of a server that takes its time."""

    class Slow(CtaClient):
        def list_dir(self, path: str) -> Iterator[FileInfo]:
            clock.now += seconds
            return super().list_dir(path)

    return Listing(Slow(**fake_cta.settings()), clock=clock)


def test_what_took_long_to_be_told_is_believed_as_long_again(fake_cta: FakeCta, clock: Clock) -> None:
    for path in paths("abcd"):
        fake_cta.put(path, b"1")
    listing = slow_listing(fake_cta, clock, 30)
    listing.want(paths("abcd"))
    assert all(listing.find(path) for path in paths("abcd"))
    clock.now += 29.9

    assert all(listing.find(path) for path in paths("abcd"))
    assert len(asked(fake_cta)) == 1

    clock.now += 0.1

    assert listing.find("/lst/a")
    assert len(asked(fake_cta)) == 1


def test_an_inventory_believes_the_listing_that_it_has_waited_for(fake_cta: FakeCta, clock: Clock) -> None:
    for path in paths("abcd"):
        fake_cta.put(path, b"1")
    listing = slow_listing(fake_cta, clock, 30)
    listing.want(paths("abcdx"))
    info, entries = asyncio.run(listing.around("/lst/x"))

    assert info is None
    assert entries is not None
    assert sorted(entries) == list("abcd")

    clock.now += 1

    assert asyncio.run(listing.around("/lst/a"))[1] is None


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


def test_what_was_stored_is_known_at_once_and_costs_nothing(listing: Listing, fake_cta: FakeCta, clock: Clock) -> None:
    listing.want(paths("abcd"))
    fake_cta.put("/lst/a", b"1")
    assert listing.find("/lst/b") is None
    asked(fake_cta)
    stored = FileInfo(path="/lst/b", is_dir=False, size=2)
    listing.remember(stored)
    clock.now += 5

    assert listing.find("/lst/b") == stored
    assert asked(fake_cta) == []


def test_what_was_stored_during_a_listing_is_newer_than_the_listing(fake_cta: FakeCta, clock: Clock) -> None:
    class Storing(CtaClient):
        """Something is stored while it lists."""

        def list_dir(self, path: str) -> Iterator[FileInfo]:
            entries = list(super().list_dir(path))
            clock.now += 0.1
            listing.remember(FileInfo(path="/lst/new", is_dir=False, size=3))
            return iter(entries)

    fake_cta.put("/lst/a", b"1")
    with Storing(**fake_cta.settings()) as client:
        listing = Listing(client, clock=clock)
        listing.want(paths("abcd"))
        assert listing.find("/lst/a")

        assert listing.find("/lst/new")
        assert asked(fake_cta) == [("1", "/lst")]


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
        listing.want(paths("abcd", "/lst/mine/d"))
        assert listing.find("/lst/mine/d/a")
        clock.now += 11
        assert listing.find("/lst/mine/d/a")
        assert listing.find("/lst/mine/d/b") is None

        with pytest.raises(PermissionDeniedError):
            listing.entries("/lst/mine/d")

    assert {path for depth, path in asked(fake_cta) if depth == "1"} == {"/lst/mine/d"}


def test_an_empty_folder_is_not_taken_for_one_that_may_not_be_listed(
    listing: Listing, fake_cta: FakeCta, clock: Clock
) -> None:
    fake_cta.make_dir("/lst/out")
    listing.want(paths("abcd", "/lst/out"))
    assert [listing.find(path) for path in paths("abcd", "/lst/out")] == [None] * 4
    assert asked(fake_cta) == [("1", "/lst/out"), ("0", "/lst/out/a")]
    clock.now += 2
    fake_cta.put("/lst/out/b", b"1")

    assert listing.find("/lst/out/a") is None
    assert listing.find("/lst/out/b")
    assert asked(fake_cta) == [("1", "/lst/out")]


def test_a_failed_question_is_asked_again_by_who_asks_again(fake_cta: FakeCta, clock: Clock) -> None:
    fake_cta.put("/lst/other/a", b"1")
    settings = {**fake_cta.settings(), "token": fake_cta.make_token(scope="storage.read:/lst/mine")}

    with CtaClient(**settings) as client:
        listing = Listing(client, clock=clock)
        for _ in range(2):
            with pytest.raises(PermissionDeniedError, match="/lst/other"):
                listing.find("/lst/other/a")


def test_what_may_not_be_read_is_an_error(fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/other/a", b"1")
    settings = {**fake_cta.settings(), "token": fake_cta.make_token(scope="storage.read:/lst/mine")}

    with CtaClient(**settings) as client, pytest.raises(PermissionDeniedError, match="/lst/other"):
        Listing(client).find("/lst/other/a")


def test_a_folder_that_is_still_missing_is_not_believed_when_a_file_in_it_is_there(
    fake_cta: FakeCta, clock: Clock
) -> None:
    class Forgetful(CtaClient):
        """Sees no folder that it once did not find, as a redirecting XRootD."""

        def list_dir(self, path: str) -> Iterator[FileInfo]:
            raise NotFoundError("no such folder", path=path)

    with Forgetful(**fake_cta.settings()) as client:
        listing = Listing(client, clock=clock)
        listing.want(paths("abcd"))

        assert listing.find("/lst/a") is None
        assert asked(fake_cta) == []

        fake_cta.put("/lst/a", b"1")
        fake_cta.put("/lst/b", b"1")
        clock.now += 2

        assert listing.find("/lst/a")
        assert listing.find("/lst/b")
        assert not listing.find("/lst/c")


def test_a_missing_folder_is_made_before_a_file_in_it(
    make_for_jobs: Callable[..., list[StorageObject]], cta_environ: dict[str, str], fake_cta: FakeCta
) -> None:
    made = make_for_jobs(*(f"cta://lst/new/deep/{name}" for name in "abcd"))
    assert not made[0].exists()
    made[0].local_path().parent.mkdir(parents=True)
    made[0].local_path().touch()
    made[1].local_path().touch()
    fake_cta.clear_requests()
    asyncio.run(made[0].managed_store())
    asyncio.run(made[1].managed_store())
    methods = [request.method for request in fake_cta.requests if request.server == "door"]

    assert methods.index("MKCOL") < methods.index("PUT")
    assert methods.count("MKCOL") == len(("lst", "new", "deep"))
