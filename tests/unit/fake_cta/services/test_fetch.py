import contextlib

import pytest
import requests

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.services.clients import Crowd, Service, asking, struck

MIB = 1 << 20


def test_a_file_comes_in_chunks_without_length_tag_or_range(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/x.fits", b"events")
    answer = service("GET", "fetch/lst/x.fits", {"Range": "bytes=1-2"})

    assert (answer.status_code, answer.content) == (200, b"events")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert not {"Content-Length", "ETag", "Accept-Ranges", "Content-Range"} & set(answer.headers)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == "attachment; filename=x.fits"


@pytest.mark.parametrize("path", ["lst/x.fits", "lst/none", "lst"])
def test_head_is_always_200_without_a_length(service: Service, cta: FakeCta, path: str) -> None:
    cta.put("/lst/x.fits", b"events")
    answer = service("HEAD", f"fetch/{path}")

    assert answer.status_code == 200
    assert answer.headers.get("Content-Length", "0") == "0"


@pytest.mark.parametrize(
    ("fault", "status"), [(None, 404), ("forbidden", 403), ("unavailable", 503), ("server-error", 500)]
)
def test_what_goes_wrong_at_the_storage_is_200_with_a_page(
    service: Service, cta: FakeCta, fault: str | None, status: int
) -> None:
    if fault:
        cta.put("/lst/x.fits", b"events")
        cta.faults.add(fault, server="storage")
    answer = service("GET", "fetch/lst/x.fits")

    assert answer.status_code == 200
    assert f"<title>{status}</title>" in answer.text


def test_a_folder_is_200_with_a_page(service: Service) -> None:
    answer = service("GET", "fetch/lst")

    assert answer.status_code == 200
    assert answer.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(("size", "first"), [(MIB, 3 * MIB), (2 * MIB, 2 * MIB), (10 * MIB, 0), (None, 0)])
def test_nothing_is_sent_before_a_chunk_is_there_and_a_break_hangs_for_ever(
    service: Service, cta: FakeCta, size: int | None, first: int
) -> None:
    cta.put("/lst/big", bytes(5 * MIB))
    cta.faults.add("reset", server="storage", after=3 * MIB + 10)
    url = f"{cta.service_url}fetch/lst/big" + (f"?chunk_size={size}" if size else "")
    headers = {"Authorization": f"Bearer {cta.hub_token}"}
    arrived = bytearray()

    def read() -> None:
        with service.session.get(url, headers=headers, stream=True, timeout=0.7, verify=str(cta.ca_file)) as answer:
            for block in answer.iter_content(MIB):
                arrived.extend(block)

    with pytest.raises(requests.ConnectionError if first else requests.ReadTimeout, match="timed out"):
        read()

    assert len(arrived) == first
    assert service("GET", "health").status_code == 200


def test_ten_broken_fetches_leave_all_threads_free(cta: FakeCta, service: Service, crowd: Crowd) -> None:
    cta.put("/lst/x", b"12345")
    broken = cta.faults.add("reset", server="storage", after=2)
    hanging = [crowd.ask(cta, "GET", "fetch/lst/x", timeout=1.5) for _ in range(10)]
    struck(broken, 10)

    assert service("GET", "health").status_code == 200
    for one in hanging:
        with pytest.raises(requests.ReadTimeout):
            one.result(10)


@pytest.mark.parametrize("size", ["0", "-1"])
def test_a_chunk_size_that_is_none_costs_a_thread_for_ever(
    service: Service, cta: FakeCta, crowd: Crowd, size: str
) -> None:
    cta.put("/lst/x", b"12345")
    for _ in range(10):
        with pytest.raises(requests.ReadTimeout):
            crowd.ask(cta, "GET", f"fetch/lst/x?chunk_size={size}", timeout=0.2).result(10)
    with pytest.raises(requests.ReadTimeout):
        crowd.ask(cta, "GET", "health", timeout=0.2).result(10)
    cta.reset()

    assert service("GET", "health").status_code == 200


def test_a_chunk_size_that_is_no_number_counts_for_nothing(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/x", b"12345")

    assert service("GET", "fetch/lst/x?chunk_size=big").content == b"12345"


def test_a_short_body_of_the_storage_without_a_length_ends_in_good_order(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/x", b"12345")
    with cta.fault("truncate", server="storage", after=3, announced=False):
        short = service("GET", "fetch/lst/x").content
    with cta.fault("longer-body", server="storage", by=2):
        long = service("GET", "fetch/lst/x").content
    with cta.fault("corrupt", server="storage", after=1):
        corrupt = service("GET", "fetch/lst/x").content

    assert (short, long, corrupt) == (b"123", b"12345\0\0", b"13345")


def test_a_body_shorter_than_the_storage_announced_hangs(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/x", b"12345")
    cta.faults.add("truncate", server="storage", after=3)

    with pytest.raises(requests.ReadTimeout):
        service.session.get(
            f"{cta.service_url}fetch/lst/x",
            headers={"Authorization": f"Bearer {cta.hub_token}"},
            timeout=0.3,
            verify=str(cta.ca_file),
        )


def test_redirects_of_the_storage_are_followed() -> None:
    with FakeCta(services=True, service_storage="dcache") as cta, asking(cta) as service:
        cta.put("/lst/x", b"12345")
        answer = service("GET", "fetch/lst/x")

    assert (answer.status_code, answer.content) == (200, b"12345")


def test_ten_requests_to_a_silent_storage_block_even_health(service: Service, cta: FakeCta, crowd: Crowd) -> None:
    cta.put("/lst/x", b"12345")
    silent = cta.faults.add("stall", server="storage")
    blocking = [crowd.ask(cta, "GET", "fetch/lst/x", timeout=0.4) for _ in range(9)]
    struck(silent, 9)
    nine = crowd.ask(cta, "GET", "health").result(10).status_code
    blocking.append(crowd.ask(cta, "GET", "list/lst", timeout=0.4))
    struck(silent, 10)
    for one in blocking:
        with contextlib.suppress(requests.ReadTimeout):
            one.result(10)
    # All clients have left: the threads wait on.
    with pytest.raises(requests.ReadTimeout):
        crowd.ask(cta, "GET", "health", timeout=0.3).result(10)
    cta.faults.clear()

    assert nine == 200
    assert crowd.ask(cta, "GET", "health").result(10).status_code == 200


def test_more_than_ten_requests_wait_for_their_turn_and_are_all_answered(cta: FakeCta, crowd: Crowd) -> None:
    for number in range(40):
        cta.put(f"/lst/{number}", str(number).encode() * 1000)
    answers = [crowd.ask(cta, "GET", f"fetch/lst/{number}") for number in range(40)]

    assert [answer.result(20).content for answer in answers] == [str(number).encode() * 1000 for number in range(40)]
