import pytest
import requests

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Wire
from tests.unit.fake_cta.services.clients import Service, asking

HOME = "webdav/lst/users/alice/"
OLD = b":href>/pnfs/cta.cscs.ch/"
NEW = b":href>/services/downloadservice/webdav/"


@pytest.fixture
def home(cta: FakeCta) -> str:
    cta.make_dir("/lst/users/alice")
    return HOME


def test_statuses_tags_and_ranges_are_real(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/x", b"0123456789")
    whole, part = service("GET", "webdav/lst/x"), service("GET", "webdav/lst/x", {"Range": "bytes=2-4"})
    beyond = service("GET", "webdav/lst/x", {"Range": "bytes=10-"})

    assert (whole.status_code, whole.content, whole.headers["Content-Length"]) == (200, b"0123456789", "10")
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */10")
    assert whole.headers["ETag"] == part.headers["ETag"]
    assert service("GET", "webdav/lst/none").status_code == 404
    assert service("PROPFIND", "webdav/lst/none").status_code == 404


def test_an_old_tag_is_412_and_a_new_file_has_another(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/x", b"0123456789")
    tag = service("GET", "webdav/lst/x").headers["ETag"]
    cta.put("/lst/x", b"9876543210")

    assert service("GET", "webdav/lst/x", {"If-Match": tag}).status_code == 412
    assert service("GET", "webdav/lst/x", {"If-Range": tag, "Range": "bytes=0-1"}).status_code == 200
    assert service("GET", "webdav/lst/x").headers["ETag"] != tag


def test_head_tells_a_length_of_0(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/x", b"0123456789")
    answer = service("HEAD", "webdav/lst/x")

    assert (answer.status_code, answer.headers["Content-Length"]) == (200, "0")
    assert answer.headers["ETag"]
    assert service("HEAD", "webdav/lst/none").status_code == 404


def test_names_in_a_propfind_are_those_of_the_service(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/DL3/a b", b"1")
    found = service("PROPFIND", "webdav/lst/DL3", {"Depth": "1"}).text

    assert "<D:href>/services/downloadservice/webdav/lst/DL3/a%20b</D:href>" in found
    assert "/pnfs/" not in found


def test_properties_are_those_that_are_asked_for(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/x", b"1")
    question = (
        '<propfind xmlns="DAV:"><prop><getcontentlength/>'
        '<Checksums xmlns="http://www.dcache.org/2013/webdav"/></prop></propfind>'
    )
    found = service("PROPFIND", "webdav/lst/x", {"Depth": "0"}, data=question).text

    assert "adler32=00320032" in found
    assert "getlastmodified" not in found


@pytest.mark.parametrize("size", [100, 3 << 20])
@pytest.mark.parametrize("place", [0, 50, (1 << 20) - 7, (1 << 20) + 3])
def test_addresses_of_the_storage_are_replaced_in_any_body(
    service: Service, cta: FakeCta, size: int, place: int
) -> None:
    data = bytearray(size + len(OLD))
    data[min(place, size) : min(place, size) + len(OLD)] = OLD
    data += OLD
    cta.put("/lst/x", bytes(data))
    whole = service("GET", "webdav/lst/x")
    part = service("GET", "webdav/lst/x", {"Range": f"bytes=0-{len(data) - 2}"})

    assert whole.content == bytes(data).replace(OLD, NEW)
    assert whole.headers["Content-Length"] == str(len(data) + 2 * (len(NEW) - len(OLD)))
    assert part.content == bytes(data[:-1]).replace(OLD, NEW)
    assert part.headers["Content-Range"] == f"bytes 0-{len(data) - 2}/{len(data)}"
    assert service("GET", "fetch/lst/x").content == data


def test_redirects_of_the_storage_are_passed_on() -> None:
    with FakeCta(services=True, service_storage="dcache") as cta, asking(cta) as service:
        cta.put("/lst/x", b"12345")
        answer = service("GET", "webdav/lst/x")

        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(tuple(cta.pool_urls))


def test_a_storage_that_redirects_by_fault_is_passed_on_too(service: Service, cta: FakeCta, home: str) -> None:
    cta.put("/lst/x", b"12345")
    cta.faults.add("redirect")

    assert service("GET", "webdav/lst/x").status_code == 302
    assert service("PUT", f"{home}y", data=b"1").status_code == 307


def test_expect_reaches_the_storage_and_comes_back_as_307(service: Service, cta: FakeCta, home: str) -> None:
    with Wire(cta, cta.service_url) as wire:
        wire.send(
            f"PUT /services/downloadservice/{home}y HTTP/1.1",
            f"Authorization: Bearer {cta.hub_token}",
            "Expect: 100-continue",
            "Content-Length: 5",
        )
        status, headers, _ = wire.receive()

    assert status.startswith("HTTP/1.1 307 ")
    assert headers["location"].startswith(tuple(cta.pool_urls))
    assert cta.get("/lst/users/alice/y") == b""


@pytest.mark.parametrize("method", ["DELETE", "MOVE", "COPY", "LOCK", "POST"])
def test_removing_renaming_and_locking_are_405_although_options_knows_them(
    service: Service, cta: FakeCta, home: str, method: str
) -> None:
    cta.put("/lst/users/alice/x", b"1")

    assert service(method, f"{home}x", {"Destination": "/y"}).status_code == 405
    assert cta.exists("/lst/users/alice/x")
    assert {"DELETE", "MOVE", "COPY", "LOCK"} < set(service("OPTIONS", "webdav/lst").headers["Allow"].split(", "))


def test_trace_is_no_method_of_the_storage(service: Service) -> None:
    assert service("TRACE", "webdav/lst").status_code == 405


@pytest.mark.parametrize("folder", ["lst", "cta"])
def test_a_put_stores_201_overwrites_204_and_keeps_to_conditions(service: Service, cta: FakeCta, folder: str) -> None:
    cta.make_dir(f"/{folder}/users/alice")
    path = f"webdav/{folder}/users/alice/x"
    new, again = service("PUT", path, data=b"1"), service("PUT", path, data=b"22")
    refused = service("PUT", path, {"If-None-Match": "*"}, data=b"333")

    assert [answer.status_code for answer in (new, again, refused)] == [201, 204, 412]
    assert cta.get(f"/{folder}/users/alice/x") == b"22"
    assert service("PUT", f"{path}2", {"If-None-Match": "*"}, data=b"1").status_code == 201


def test_a_put_needs_its_parent_and_no_folder_in_its_place(service: Service, cta: FakeCta, home: str) -> None:
    assert service("PUT", f"{home}sub/x", data=b"1").status_code == 409
    assert service("MKCOL", f"{home}sub/deep").status_code == 409
    assert service("MKCOL", f"{home}sub").status_code == 201
    assert service("MKCOL", f"{home}sub").status_code == 405
    assert service("PUT", f"{home}sub", data=b"1").status_code == 405
    assert service("PUT", f"{home}sub/x", data=b"1").status_code == 201


@pytest.mark.parametrize(
    "path",
    ["lst/x", "lst/users/bob/x", "lst/users/alice", "lst/users/alice2/x", "magic/users/alice/x", "users/alice/x"],
)
@pytest.mark.parametrize("method", ["PUT", "MKCOL", "PROPPATCH"])
def test_writing_elsewhere_is_403_and_the_status_line_tells_why(
    service: Service, cta: FakeCta, path: str, method: str
) -> None:
    answer = service(method, f"webdav/{path}", data=b"1")

    assert (answer.status_code, answer.text) == (403, "Access denied")
    assert answer.reason == f"Missing rights to write in : {path}, you are not allowed to write in this folder"
    assert cta.paths() == []


def test_ones_own_folder_is_made_with_its_slash_only(service: Service, cta: FakeCta) -> None:
    assert service("MKCOL", "webdav/lst/users/alice").status_code == 403
    assert service("MKCOL", "webdav/lst/users/alice/").status_code == 201
    assert cta.exists("/lst/users/alice")


def test_the_folder_of_a_name_has_only_0_1_and_letters(service: Service, cta: FakeCta) -> None:
    other = service.of(cta.make_hub_token("Bob.X-2019"))

    assert other("MKCOL", "webdav/lst/users/bob_x__01_/").status_code == 201
    assert other("MKCOL", "webdav/lst/users/bob_x_2019/").status_code == 403


def test_properties_of_ones_own_files_can_be_changed(service: Service, cta: FakeCta, home: str) -> None:
    cta.put("/lst/users/alice/x", b"1")
    change = (
        '<propertyupdate xmlns="DAV:"><set><prop><colour xmlns="http://www.dcache.org/2020/xattr">blue</colour>'
        "</prop></set></propertyupdate>"
    )
    answer = service("PROPPATCH", f"{home}x", data=change)

    assert answer.status_code == 207
    assert "/services/downloadservice/webdav/lst/users/alice/x</D:href>" in answer.text
    assert cta.xattrs("/lst/users/alice/x") == {"colour": "blue"}


@pytest.mark.parametrize("fault", [{"name": "reset"}, {"name": "reset", "after": 3}, {"name": "truncate", "after": 3}])
def test_a_break_at_the_storage_is_500(service: Service, cta: FakeCta, fault: dict[str, object]) -> None:
    cta.put("/lst/x", b"12345")
    cta.faults.add(server="storage", **fault)

    assert service("GET", "webdav/lst/x").status_code == 500


def test_a_short_body_without_a_length_gets_one(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/x", b"12345")
    cta.faults.add("truncate", server="storage", after=3, announced=False)
    answer = service("GET", "webdav/lst/x", {"Range": "bytes=0-4"})

    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (206, b"123", "3")
    assert answer.headers["Content-Range"] == "bytes 0-4/5"


def test_nothing_is_sent_before_all_of_it_is_there(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/x", bytes(1 << 20))
    cta.faults.add("stall", server="storage", after=1 << 19)

    with pytest.raises(requests.ReadTimeout):
        service.session.get(
            f"{cta.service_url}webdav/lst/x",
            headers={"Authorization": f"Bearer {cta.hub_token}"},
            timeout=0.3,
            verify=str(cta.ca_file),
            stream=True,
        )


def test_storage_faults_of_an_upload(service: Service, cta: FakeCta, home: str) -> None:
    with cta.fault("no-space", server="storage"):
        full = service("PUT", f"{home}a", data=b"12345").status_code
    with cta.fault("reset", server="storage", after=3):
        broken = service("PUT", f"{home}b", data=b"12345").status_code
    with cta.fault("truncate", server="storage", after=3):
        short = service("PUT", f"{home}c", data=b"12345").status_code

    assert (full, broken, short) == (507, 500, 201)
    assert not cta.exists("/lst/users/alice/b")
    assert cta.get("/lst/users/alice/c") == b"123"
