import os

import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Wire
from tests.unit.fake_cta.services.clients import Service, asking, twice, until

MIB = 1 << 20


def test_an_upload_lies_in_ones_own_folder_which_is_made(service: Service, cta: FakeCta) -> None:
    answer = service("POST", "upload/x.txt", data=b"12345")

    assert answer.status_code == 200
    assert answer.json() == {"path": "lst/users/alice/x.txt", "status": "uploaded", "total_written": 5}
    assert cta.get("/lst/users/alice/x.txt") == b"12345"


def test_an_overwrite_is_204_without_a_body(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/users/alice/x.txt", b"old")
    answer = service("POST", "upload/x.txt", data=b"12345")

    assert (answer.status_code, answer.content) == (204, b"")
    assert cta.get("/lst/users/alice/x.txt") == b"12345"


def test_a_missing_folder_is_409(service: Service, cta: FakeCta) -> None:
    assert service("POST", "upload/sub/x.txt", data=b"1").status_code == 409
    assert service("MKCOL", "webdav/lst/users/alice/sub").status_code == 201
    assert service("POST", "upload/sub/x.txt", data=b"1").status_code == 200


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%41b", "a b", "ü", "a(b", "a..b"])
def test_a_name_encoded_twice_is_stored_and_told_encoded_once(service: Service, cta: FakeCta, name: str) -> None:
    answer = service("POST", f"upload/{twice(name)}", data=b"1")

    assert cta.paths() == [f"/lst/users/alice/{name}"]
    assert answer.json()["path"] == "lst/users/alice/" + twice(name).replace("%25", "%")


def test_a_name_encoded_once_is_cut_at_its_hash(service: Service, cta: FakeCta) -> None:
    answer = service("POST", "upload/a%23b", data=b"1")

    assert answer.json()["path"] == "lst/users/alice/a#b"
    assert cta.paths() == ["/lst/users/alice/a"]


def test_two_dots_encoded_once_are_400_and_no_name_at_all_is_500(service: Service) -> None:
    assert service("POST", "upload/a..b", data=b"1").status_code == 400
    assert service("POST", "upload", data=b"1").status_code == 500


def test_a_redirecting_storage_keeps_an_empty_file_and_the_service_says_all_is_well(
    service: Service, cta: FakeCta
) -> None:
    cta.faults.add("redirect", method="PUT")
    answer = service("POST", "upload/x.txt", data=b"12345")

    assert (answer.status_code, answer.json()["total_written"]) == (200, 5)
    assert cta.get("/lst/users/alice/x.txt") == b""


def test_a_storage_that_stores_less_is_no_error_either(service: Service, cta: FakeCta) -> None:
    cta.faults.add("truncate", server="storage", method="PUT", after=2)
    answer = service("POST", "upload/x.txt", data=b"12345")

    assert (answer.status_code, answer.json()["total_written"]) == (200, 5)
    assert cta.get("/lst/users/alice/x.txt") == b"12"


@pytest.mark.parametrize(
    "way", ["POST /services/downloadservice/upload/x", "PUT /services/downloadservice/webdav/lst/users/alice/x"]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_the_end_of_a_client_is_the_end_of_a_file_of_announced_length(cta: FakeCta, way: str, chunked: bool) -> None:
    cta.make_dir("/lst/users/alice")
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 100"
    with Wire(cta, cta.service_url) as wire:
        wire.send(
            f"{way} HTTP/1.1",
            f"Authorization: Bearer {cta.hub_token}",
            length,
            body=b"5\r\n12345\r\n" if chunked else b"12345",
        )
    until(lambda: any(request.method == way[:4].strip() for request in cta.requests))

    assert cta.paths() == ([] if chunked else ["/lst/users/alice/x"])
    assert chunked or cta.get("/lst/users/alice/x") == b"12345"


def test_over_xrootd_every_upload_fails() -> None:
    with FakeCta(services=True, service_storage="xrootd") as cta, asking(cta) as service:
        answer = service("POST", "upload/x", data=b"1")

        assert answer.status_code == 400
        assert "Invalid chunked encoding" in answer.text
        assert cta.paths() == []


@pytest.mark.parametrize("state", ["none", "expired", "keyless"])
def test_without_any_good_certificate_an_upload_is_403_without_a_reason(
    service: Service, cta: FakeCta, state: str
) -> None:
    for key in ("lst", "cta"):
        cta.set_certificate("alice", key, state)
    answer = service("POST", "upload/x", data=b"1")

    assert (answer.status_code, answer.text) == (403, "Access denied")
    assert answer.reason == "Missing rights to upload files"


def test_the_folder_of_cta_will_do_when_that_of_lst_cannot_be_listed(service: Service, cta: FakeCta) -> None:
    cta.set_certificate("alice", "lst", "expired")

    assert service("POST", "upload/x", data=b"1").json()["path"] == "cta/users/alice/x"


def test_errors_of_the_storage_have_its_status_and_page(service: Service, cta: FakeCta) -> None:
    cta.faults.add("server-error", server="storage", method="PUT", status=502)
    answer = service("POST", "upload/x", data=b"1")

    assert answer.status_code == 502
    assert answer.text.startswith("Error: 502 ")


def test_a_storage_that_is_full_is_507() -> None:
    with FakeCta(services=True, quota=MIB) as cta, asking(cta) as service:
        answer = service("POST", "upload/x", data=bytes(2 * MIB))

    assert answer.status_code == 507


def test_a_large_upload_goes_to_disk(service: Service, cta: FakeCta) -> None:
    data = os.urandom(MIB) * 48
    assert service("POST", "upload/big", data=iter([data])).json()["total_written"] == len(data)

    assert service("GET", "fetch/lst/users/alice/big?chunk_size=1048576").content == data
    assert service("GET", "webdav/lst/users/alice/big").content == data


def test_an_upload_that_the_service_loses_is_a_part_that_looks_whole(service: Service, cta: FakeCta) -> None:
    cta.faults.add("reset", server="downloadservice", after=3, method="POST")
    with pytest.raises(OSError):
        service("POST", "upload/x", data=b"12345")

    assert cta.get("/lst/users/alice/x") == b"123"
