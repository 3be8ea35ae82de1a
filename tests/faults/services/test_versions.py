"""Of which version of a file the bytes are that come through the downloadservice, and that they are of one."""

import random
import re
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, IntegrityError, NotFoundError, PermissionDeniedError, TransientError
from ctadata_providers.backends.services import reading
from tests.faults import acts, scripted
from tests.faults.cells import assert_absent, assert_whole
from tests.faults.scripted import Act, Exchange
from tests.faults.services.scripted import PATH, PNFS, SHOWN, Client, Service, page
from tests.faults.services.scripted import get as right_get

AWAY = acts.redirect("https://pool.localhost/x")
LARGE = random.Random(5).randbytes(3_000_000)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PIECE", 1_000_000)


def before_each(does: Act, *numbers: int) -> Act:
    """Do something instead of some of the right answers, counted from 1."""
    seen = 0

    def act(exchange: Exchange) -> None:
        nonlocal seen
        seen += 1
        (does if seen in numbers else right_get)(exchange)

    return act


@pytest.mark.parametrize("second", [LARGE[::-1], bytes(1_500_000) + PNFS + bytes(1_500_000 - len(PNFS))])
def test_a_piece_and_what_comes_behind_it_by_either_route_are_of_one_version(
    second: bytes, service: Service, client: CtaClient, target: Path, small_pieces: None
) -> None:

    def heedless(exchange: Exchange) -> None:
        """Answer as a storage without tags, on which another file takes the name at that moment."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", exchange.asked.headers["range"])
        assert found is not None
        data, first, last = service.files[PATH], int(found[1]), int(found[2])
        body = data[first : last + 1].replace(PNFS, SHOWN)
        exchange.answer(206, f"Content-Range: bytes {first}-{last}/{len(data)}", body=body)
        service.files[PATH] = second

    service.files[PATH] = LARGE
    service.fault("GET", heedless)
    client.download(PATH, target)

    assert_whole(target, second)


def test_a_tag_that_a_listing_writes_without_quotes_is_the_same_tag(
    service: Service, client: CtaClient, target: Path, small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    quoted = scripted.etag
    monkeypatch.setattr(scripted, "etag", lambda data: quoted(data).strip('"'))
    service.files[PATH] = content = LARGE[:2_500_000] + PNFS + LARGE[2_500_000:]
    service.fault("GET", before_each(acts.status(503), 2))
    client.download(PATH, target)

    assert_whole(target, content)
    assert [one.headers["range"].partition("-")[0] for one in service.requests("GET")] == [
        f"bytes={start}" for start in (0, 1_000_000, 1_000_000, 2_000_000)
    ]


def test_what_ended_too_early_by_fetch_is_not_gone_on_with(service: Service, client: CtaClient, target: Path) -> None:
    service.files[PATH] = LARGE
    service.fault("GET", AWAY)
    service.fault("FETCH", lambda exchange: page(exchange, b"<html>" + b"x" * 1_500_000))

    assert_absent(lambda: client.download(PATH, target), IntegrityError, PATH, target)


def test_a_file_that_has_changed_since_it_was_listed_is_read_as_it_is_now(
    service: Service, client: CtaClient, payload: bytes
) -> None:
    for now in (payload[:1000], payload + payload, payload[::-1]):
        list(client.list_dir("/lst/night"))
        service.files[PATH] = now

        assert client.read(PATH) == now


def test_the_files_of_a_large_folder_that_was_listed_are_not_asked_about_again(
    service: Service, client: CtaClient
) -> None:
    service.files = {f"/lst/many/{number}.fits": b"%d" % number for number in range(10_000)}
    listed = [info.path for info in client.list_dir("/lst/many")]
    first, last = client.read(listed[0]), client.read(listed[-1])

    assert (first, last) == (service.files[listed[0]], service.files[listed[-1]])
    assert [one.method for one in service.asked] == ["PROPFIND", "GET", "GET"]


@pytest.mark.parametrize(("code", "kind"), [(403, PermissionDeniedError), (404, NotFoundError), (500, TransientError)])
def test_a_page_without_its_status_is_the_error_that_webdav_tells(
    code: int, kind: type[OSError], service: Service, client_of_service: Client, target: Path
) -> None:
    client = client_of_service(retries=0)
    service.fault("GET", AWAY, times=1)
    client.download(PATH, target)
    target.write_bytes(b"old")
    service.fault("GET", acts.status(code))
    service.fault("FETCH", lambda exchange: page(exchange, b"<!DOCTYPE html><title>Sorry</title>"))

    assert_absent(lambda: client.download(PATH, target), kind, PATH, target)
