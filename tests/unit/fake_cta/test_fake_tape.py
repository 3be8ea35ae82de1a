"""Where files are: on disk, on tape, nowhere."""

import pytest

from ctadata_providers.errors import ConfigError, IsADirError, NotFoundError
from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, LeapingClock, asking
from tests.unit.fake_cta.test_fake_propfind import LOCALITY, body, parsed


def locality(ask: Asker, path: str) -> str | None:
    ((_, found, _),) = parsed(ask("PROPFIND", path, {"Depth": "0"}, data=body(LOCALITY)).content)
    return found[LOCALITY].text


@pytest.mark.parametrize("place", ["ONLINE", "NEARLINE", "ONLINE_AND_NEARLINE", "UNAVAILABLE", "LOST", "NONE"])
def test_a_listing_tells_the_place(fake_cta: FakeCta, ask: Asker, place: str) -> None:
    fake_cta.put("/x", b"")
    fake_cta.set_locality("/x", place)  # type: ignore[arg-type]  # parametrize knows strings only

    assert locality(ask, "/x") == place


def test_an_upload_under_way_is_nowhere(ask: Asker) -> None:
    ask.redirected("PUT", "/x")

    assert locality(ask, "/x") == "NONE"


@pytest.mark.parametrize(
    ("place", "waits", "status"),
    [
        ("ONLINE", False, 302),
        ("ONLINE_AND_NEARLINE", False, 302),
        ("NEARLINE", True, 500),
        ("UNAVAILABLE", True, 500),
        ("LOST", False, 500),
    ],
)
def test_a_get_blocks_where_it_waits_for_a_pool(place: str, waits: bool, status: int) -> None:
    clock = LeapingClock(50.0)
    with FakeCta(clock=clock) as cta, asking(cta) as ask:
        cta.put("/x", b"")
        cta.set_locality("/x", place)  # type: ignore[arg-type]  # parametrize knows strings only
        start = clock()
        answer = ask("GET", "/x")
        seconds = clock() - start
        head = ask("HEAD", "/x")

    assert (answer.status_code, seconds >= 300) == (status, waits)
    assert head.status_code == 200


def test_a_recall_from_tape_ends_in_a_redirect_when_it_is_quick_enough() -> None:
    clock = LeapingClock(5.0)
    with FakeCta(clock=clock) as cta, asking(cta) as ask:
        cta.put("/x", b"hello")
        cta.set_locality("/x", "NEARLINE", recall=30)
        start = clock()
        first = ask("GET", "/x")
        seconds = clock() - start
        place = locality(ask, "/x")
        content = ask.at("GET", first.headers["Location"]).content

    assert 30 <= seconds < 100
    assert (content, place) == (b"hello", "ONLINE_AND_NEARLINE")


def test_a_recall_that_takes_longer_than_the_door_waits_is_500() -> None:
    with FakeCta(clock=LeapingClock(50.0)) as cta, asking(cta) as ask:
        cta.put("/x", b"hello")
        cta.set_locality("/x", "NEARLINE", recall=301)
        answer = ask("GET", "/x")

    assert (answer.status_code, answer.text) == (500, "Request to [>PoolManager] timed out\n")


def test_who_may_not_stage_is_refused_at_once(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    fake_cta.set_locality("/x", "NEARLINE")
    answer = ask("GET", "/x", token=fake_cta.make_token(scope="storage.read:/"))

    assert answer.status_code == 403


def test_an_anonymous_reader_may_not_stage() -> None:
    with FakeCta(anonymous=True) as cta, asking(cta) as ask:
        cta.put("/x", b"")
        cta.set_locality("/x", "NEARLINE")
        answer = ask("GET", "/x", token=None)

    assert answer.status_code == 401


def test_an_overwrite_brings_a_file_back_to_disk_and_a_move_does_not(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    fake_cta.set_locality("/x", "NEARLINE")
    ask("MOVE", "/x", {"Destination": "/y"})
    moved = locality(ask, "/y")
    fake_cta.put("/y", b"")

    assert (moved, locality(ask, "/y")) == ("NEARLINE", "ONLINE")


def test_what_cannot_be_placed_is_an_error(fake_cta: FakeCta) -> None:
    fake_cta.put("/d/x", b"")

    with pytest.raises(NotFoundError):
        fake_cta.set_locality("/no", "LOST")
    with pytest.raises(IsADirError):
        fake_cta.set_locality("/d", "LOST")
    with pytest.raises(ConfigError, match="unknown locality 'TAPE'; use one of ONLINE, NEARLINE"):
        fake_cta.set_locality("/d/x", "TAPE")  # type: ignore[arg-type]  # that is the test
