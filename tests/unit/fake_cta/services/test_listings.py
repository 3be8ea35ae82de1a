import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.services.clients import Service, asking, twice

DEPTH = {"Depth": "1"}


def test_an_entry_has_a_relative_encoded_name_and_a_size_in_text(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/DL3/a b.fits", b"events")
    cta.make_dir("/lst/DL3/sub")
    itself, *rest = service("GET", "list/lst/DL3").json()
    file, folder = sorted(rest, key=lambda entry: entry["type"], reverse=True)

    assert (itself["href"], itself["type"]) == ("lst/DL3/", "directory")
    assert (file["href"], file["size"], file["type"]) == ("lst/DL3/a%20b.fits", "6", "file")
    assert (folder["href"], folder["type"]) == ("lst/DL3/sub/", "directory")
    assert "size" not in folder
    assert file["mtime"].endswith(" GMT")
    assert file["url"] == cta.service_url + "list/" + file["href"]


def test_a_listing_goes_one_level_down(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/DL3/sub/a.fits", b"1")

    assert [entry["href"] for entry in service("GET", "list/lst/DL3").json()] == ["lst/DL3/", "lst/DL3/sub/"]


def test_a_file_is_listed_alone(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/a.fits", b"1")

    assert [entry["href"] for entry in service("GET", "list/lst/a.fits").json()] == ["lst/a.fits"]


def test_the_root_is_told_as_a_file_without_name_and_size(service: Service) -> None:
    root, *rest = service("GET", "list").json()

    assert (root["href"], root["type"], "size" in root) == ("", "file", False)
    assert sorted(entry["href"] for entry in rest) == ["cta/", "lst/"]


@pytest.mark.parametrize("name", ["list", "fetch", "upload", "webdav"])
def test_nothing_after_the_slash_is_404(service: Service, name: str) -> None:
    method = "POST" if name == "upload" else "GET"

    assert service(method, f"{name}/").status_code == 404
    assert service(method, f"{name}//").status_code == 308


def test_a_missing_path_has_the_status_of_the_storage(service: Service) -> None:
    answer = service("GET", "list/lst/none")

    assert answer.status_code == 404
    assert answer.text.startswith("Error: 404 <!DOCTYPE html>")


def test_a_storage_in_trouble_has_its_status(service: Service, cta: FakeCta) -> None:
    cta.faults.add("unavailable", server="storage", times=1)
    answer = service("GET", "list/lst")

    assert answer.status_code == 503
    assert answer.text.startswith("Error: 503 ")


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%41b", "a b", "ü", "a(b", "a[b]", "a..b", "100%", "%zz"])
def test_a_name_that_is_encoded_twice_is_found(service: Service, cta: FakeCta, name: str) -> None:
    cta.put(f"/lst/{name}", b"right")
    path = twice(f"lst/{name}")

    assert service("GET", f"list/{path}").json()[0]["size"] == "5"
    assert service("GET", f"fetch/{path}").content == b"right"
    assert service("GET", f"webdav/{path}").content == b"right"


@pytest.mark.parametrize("name", ["a%23b", "a%3Fb", "a%2541b"])
def test_a_name_that_is_encoded_once_misses(service: Service, cta: FakeCta, name: str) -> None:
    for stored in ("a#b", "a?b", "a%41b"):
        cta.put(f"/lst/{stored}", b"right")
    listed, fetched = service("GET", f"list/lst/{name}"), service("GET", f"fetch/lst/{name}")

    assert listed.status_code == 404
    assert (fetched.status_code, "<title>404</title>" in fetched.text) == (200, True)


@pytest.mark.parametrize("name", ["a%28b", "a%5Bb", "a(b"])
def test_brackets_encoded_once_are_500_in_a_listing_only(service: Service, cta: FakeCta, name: str) -> None:
    cta.put("/lst/a(b", b"1")
    cta.put("/lst/a[b", b"1")

    assert service("GET", f"list/lst/{name}").status_code == 500
    assert service("GET", f"fetch/lst/{name}").content == b"1"


def test_non_ascii_encoded_once_is_500_in_a_fetch_only(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/ü", b"1")

    assert service("GET", "fetch/lst/%C3%BC").status_code == 500
    assert service("GET", "list/lst/%C3%BC").status_code == 200


def test_two_dots_inside_a_name_encoded_once_are_400_in_a_fetch(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/a..b", b"1")

    assert service("GET", "fetch/lst/a..b").status_code == 400
    assert service("GET", "fetch/lst/a%252e%252eb").content == b"1"
    assert service("GET", "list/lst/a..b").status_code == 200


def test_a_step_up_is_refused_however_it_is_written(service: Service, cta: FakeCta) -> None:
    cta.put("/secret", b"1")
    answers = [service("GET", f"list/lst/{dots}/secret") for dots in ("..", "%2e%2e", "%252e%252e")]

    assert [answer.status_code for answer in answers] == [400, 400, 400]


def test_over_xrootd_folders_seem_files_but_not_in_a_propfind() -> None:
    with FakeCta(services=True, service_storage="xrootd") as cta, asking(cta) as service:
        cta.put("/lst/DL3/sub/x", b"1")
        cta.put("/lst/DL3/a b#c.fits", b"events")
        listed = service("GET", "list/lst/DL3").json()
        found = service("PROPFIND", "webdav/lst/DL3", DEPTH).text

    by_name = {entry["href"]: entry for entry in listed}
    assert set(by_name) == {"lst/DL3", "lst/DL3/sub", "lst/DL3/a b#c.fits"}
    assert (by_name["lst/DL3/sub"]["type"], by_name["lst/DL3/sub"]["size"]) == ("file", "4096")
    assert found.count("<lp1:iscollection>1<") == found.count("<D:collection/>") == 2
    assert "<D:href>/services/downloadservice/webdav/lst/DL3/a b#c.fits</D:href>" in found


def test_a_long_folder_is_listed_both_ways(service: Service, cta: FakeCta) -> None:
    cta.make_dir("/lst/many")
    folder = cta._parts.storage.root / "lst" / "many"
    for number in range(10_000):
        (folder / f"{number}.fits").touch()
    listed = service("GET", "list/lst/many").json()
    found = service("PROPFIND", "webdav/lst/many", DEPTH).text

    assert len(listed) == found.count("<D:response>") == 10_001


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "list/lst", "GET, HEAD, OPTIONS, POST"),
        ("DELETE", "fetch/lst/x", "GET, HEAD, OPTIONS, POST"),
        ("GET", "upload/x", "OPTIONS, POST"),
        ("POST", "health", "GET, HEAD, OPTIONS"),
    ],
)
def test_other_methods_are_405(service: Service, method: str, path: str, allowed: str) -> None:
    answer = service(method, path)

    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert service("OPTIONS", path).headers["Allow"] == allowed


def test_a_listing_that_breaks_off_is_500_but_passed_on_by_webdav(service: Service, cta: FakeCta) -> None:
    cta.faults.add("broken-listing", server="storage", after=200)

    assert service("GET", "list/lst").status_code == 500
    passed_on = service("PROPFIND", "webdav/lst", DEPTH)
    assert passed_on.status_code == 207
    assert "</D:multistatus>" not in passed_on.text


def test_a_wrong_size_at_the_storage_is_told_on(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/x", b"12345")
    cta.faults.add("wrong-size", server="storage", by=-2)

    assert service("GET", "list/lst/x").json()[0]["size"] == "3"
    assert "<D:getcontentlength>3<" in service("PROPFIND", "webdav/lst/x", {"Depth": "0"}).text


def test_faults_find_a_request_by_what_it_names_at_the_storage(service: Service, cta: FakeCta) -> None:
    cta.put("/lst/a#b", b"1")
    fault = cta.faults.add("not-found", path="/lst/a#b", server="downloadservice")

    assert service("GET", "fetch/lst/a%2523b").status_code == 404
    assert service("GET", "fetch/lst/other").status_code == 200
    assert service("GET", "health").status_code == 200
    assert fault.hits == 1


def test_faults_find_a_request_by_the_address_of_the_service_too(service: Service, cta: FakeCta) -> None:
    cta.faults.add("server-error", path="/services/downloadservice/health")
    cta.faults.add("server-error", path="/list/**", status=502)

    assert service("GET", "health").status_code == 500
    assert service("GET", "list/lst").status_code == 502
    assert service("GET", "storage-status").status_code == 200
