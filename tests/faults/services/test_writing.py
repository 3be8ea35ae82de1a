"""Writing through the downloadservice: each of its traps, as reference and experience tell them."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from ctadata_providers import (
    AlreadyExistsError,
    CtaClient,
    IntegrityError,
    PermissionDeniedError,
    UnsupportedError,
)
from tests.faults import acts
from tests.faults.scripted import Exchange
from tests.faults.services.scripted import HOME, ODD, OURS, PATH, Service


def test_an_upload_makes_its_folders_and_looks_at_what_is_stored(
    service: Service, client: CtaClient, source: Path, payload: bytes
) -> None:
    result = client.upload(source, f"{HOME}/new/deep/events.fits")

    assert service.files[f"{HOME}/new/deep/events.fits"] == payload
    assert result.size == len(payload)
    assert [one.head.split()[1] for one in service.requests("MKCOL")] == [
        f"/services/downloadservice/webdav{HOME}/new/",
        f"/services/downloadservice/webdav{HOME}/new/deep/",
    ]
    assert not any("expect" in one.headers for one in service.asked)


def test_a_large_upload_never_asks_first(service: Service, client: CtaClient, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(3_000_000))

    client.upload(large, OURS)

    assert len(service.files[OURS]) == 3_000_000
    assert "expect" not in service.requests("PUT")[0].headers


def test_an_overwrite_is_answered_by_204_and_is_a_success(
    service: Service, client: CtaClient, source: Path, payload: bytes
) -> None:
    service.files[OURS] = b"old"

    client.upload(source, OURS)

    assert service.files[OURS] == payload


def test_what_exists_is_kept_when_it_may_not_be_replaced(service: Service, client: CtaClient, source: Path) -> None:
    service.files[OURS] = b"old"

    with pytest.raises(AlreadyExistsError):
        client.upload(source, OURS, overwrite=False)

    assert service.files[OURS] == b"old"


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("act", [acts.status(405), acts.redirect("https://pool.localhost/x", 307)])
def test_where_webdav_does_not_store_the_upload_route_does(
    act: Any, old: bytes | None, service: Service, client: CtaClient, source: Path, payload: bytes
) -> None:
    service.fault("PUT", act)
    service.files |= {} if old is None else {f"{HOME}/{ODD}": old}

    client.upload(source, f"{HOME}/{ODD}")

    assert service.files[f"{HOME}/{ODD}"] == payload
    assert [unquote(unquote(one.head.split()[1])) for one in service.requests("UPLOAD")] == [
        f"/services/downloadservice/upload/{ODD}"
    ]


def test_the_upload_route_which_knows_no_condition_replaces_nothing_either(
    service: Service, client: CtaClient, source: Path
) -> None:
    def appear(exchange: Exchange) -> None:
        service.files[OURS] = b"of another client"
        exchange.answer(405)

    service.fault("PUT", appear)

    with pytest.raises(AlreadyExistsError):
        client.upload(source, OURS, overwrite=False)

    assert service.files[OURS] == b"of another client"


def test_an_empty_file_after_a_redirect_is_no_success(service: Service, client: CtaClient, source: Path) -> None:
    def lose(exchange: Exchange) -> None:
        for _ in exchange.chunks():
            pass
        service.files[OURS] = b""
        exchange.answer(200, body=b'{"path": "lst/users/alice/events.fits", "total_written": 300000}')

    service.fault("PUT", acts.redirect("https://pool.localhost/x", 307))
    service.fault("UPLOAD", lose)

    with pytest.raises(IntegrityError, match="a partial file may remain"):
        client.upload(source, OURS)


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"", b"[]", b"[" * 2000])
def test_a_page_instead_of_the_answer_of_the_upload_route_is_no_success(
    body: bytes, service: Service, client: CtaClient, source: Path, payload: bytes
) -> None:
    service.files[OURS] = payload[::-1]  # of the same size
    service.fault("PUT", acts.status(405))
    service.fault("UPLOAD", acts.status(200, body=body))

    with pytest.raises(IntegrityError, match="does not say"):
        client.upload(source, OURS)


def test_a_part_that_is_stored_as_if_it_were_whole_is_no_success(
    service: Service, client: CtaClient, source: Path
) -> None:
    def keep_some(exchange: Exchange) -> None:
        service.files[OURS] = b"".join(exchange.chunks())[:1000]
        exchange.answer(201)

    service.fault("PUT", keep_some)

    with pytest.raises(IntegrityError, match="a partial file may remain"):
        client.upload(source, OURS)


def test_a_file_that_is_stored_elsewhere_is_no_success(service: Service, client: CtaClient, source: Path) -> None:
    service.fault("PUT", acts.status(405))
    service.fault("UPLOAD", lambda exchange: exchange.answer(200, body=b'{"path": "cta/users/alice/events.fits"}'))

    with pytest.raises(IntegrityError, match=r"/cta/users/alice/events.fits"):
        client.upload(source, OURS)


def test_an_upload_that_breaks_off_is_sent_again(
    service: Service, client: CtaClient, source: Path, payload: bytes
) -> None:
    service.fault("PUT", acts.keep_a_part(acts.reset_in_body(1000)), times=1)

    client.upload(source, OURS)

    assert service.files[OURS] == payload


def test_a_broken_upload_says_that_a_part_may_remain(service: Service, client: CtaClient, source: Path) -> None:
    service.fault("PUT", acts.keep_a_part(acts.status(500)))

    with pytest.raises(IntegrityError, match="a partial file may remain"):
        client.upload(source, OURS)


def test_outside_the_own_folder_the_own_folder_is_named(client: CtaClient, source: Path) -> None:
    with pytest.raises(PermissionDeniedError, match=f"below {HOME}"):
        client.upload(source, "/lst/night/new.fits")


def test_removing_names_the_door_as_the_way(service: Service, client: CtaClient) -> None:
    with pytest.raises(UnsupportedError, match="--backend webdav"):
        client.remove(PATH)

    assert PATH in service.files


def test_renaming_names_the_door_as_the_way(service: Service, client: CtaClient) -> None:
    with pytest.raises(UnsupportedError, match="--backend webdav"):
        client.move(PATH, "/lst/night/other")

    assert PATH in service.files
