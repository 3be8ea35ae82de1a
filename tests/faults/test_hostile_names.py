"""Listings of a hostile server: nothing escapes the target folder, memory stays bounded, one clear error."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, StorageError
from tests.faults import acts
from tests.faults.scripted import Door, listing, response

Open = Callable[..., Door]
Client = Callable[..., CtaClient]
FOLDER = response("/tree/", "<D:resourcetype><D:collection/></D:resourcetype>")
HREFS = {
    "dot dot": "/tree/../escaped",
    "dot dot, encoded": "/tree/%2e%2e/escaped",
    "dot dot alone": "/tree/..",
    "dot dot below": "/tree/x/../../escaped",
    "a dot": "/tree/.",
    "absolute": "/etc/passwd",
    "absolute, two slashes": "//etc/passwd",
    "relative": "escaped",
    "the parent": "/",
    "a sibling with the same beginning": "/tree-of-another/x",
    "a grandchild": "/tree/a/b",
    "encoded slash": "/tree/..%2Fescaped",
    "encoded slash, absolute": "/tree/%2Fetc%2Fpasswd",
    "encoded slash inside": "/tree/a%2Fb",
    "NUL": "/tree/x%00y",
    "newline": "/tree/x%0Ay",
    "escape": "/tree/x%1B[2Jy",
    "delete": "/tree/x%7F",
    "C1 control": "/tree/x%C2%85y",
    "bytes that are no UTF-8": "/tree/x%FFy",
    "another host": "https://evil.example/tree/x",
    "another port": "https://localhost:1/tree/x",
    "another scheme": "http://localhost/tree/x",
    "user": "https://a@b/tree/x",
    "port too large": "https://localhost:99999/tree/x",
    "port is a word": "https://localhost:port/tree/x",
    "half of an IPv6 address": "https://[::1/tree/x",
    "a file": "file:///etc/passwd",
    "empty name": "/tree//",
    "dot dot, half encoded": "/tree/.%2E",
    "dot dot, with a slash behind": "/tree/../",
    "dots, encoded, absolute URL": "{door}/tree/%2e%2e",
    "slash, encoded, absolute URL": "{door}/tree/..%2fescaped",
    "folder of another name, absolute URL": "{door}/other/x",
    "newline, absolute URL": "{door}/tree/x&#10;y",
    "tab, absolute URL": "{door}/tree/x&#9;y",
    "newline, as it is": "/tree/x&#10;y",
    "encoded folder": "%2Ftree%2Fx",
    "a path of Windows": "\\tree\\x",
    "very long": "/tree/" + "../" * 2000 + "x",
}


@pytest.fixture
def local(tmp_path: Path) -> Path:
    return tmp_path / "local" / "tree"


def everything(folder: Path) -> list[str]:
    """Return what lies below a folder."""
    return sorted(str(place.relative_to(folder)) for place in folder.rglob("*"))


@pytest.mark.parametrize("what", HREFS)
def test_an_href_that_leads_elsewhere_is_refused_and_nothing_is_written(
    what: str, open_door: Open, client_of: Client, local: Path, tmp_path: Path
) -> None:
    door = open_door(folders={"/tree"})
    door.fault("PROPFIND", acts.status(207, body=listing(FOLDER, response(HREFS[what].replace("{door}", door.url)))))
    door.fault("GET", acts.status(200, body=b"bad"))
    before = everything(tmp_path)
    client = client_of(door, retries=0)

    with pytest.raises(StorageError) as caught:
        client.download_tree("/tree", local)
    with pytest.raises(StorageError):
        list(client.list_dir("/tree"))

    assert "/tree" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert [place for place in everything(tmp_path) if place not in (*before, "local", "local/tree")] == []
    assert door.requests("GET") == []


@pytest.mark.parametrize("what", ["dot dot", "absolute", "another host", "newline"])
def test_a_hostile_entry_in_a_deeper_folder_is_refused_too(
    what: str, open_door: Open, client_of: Client, local: Path, tmp_path: Path
) -> None:
    door = open_door(files={"/tree/sub/good": b"good"})
    evil = listing(FOLDER.replace("/tree/", "/tree/sub/"), response(HREFS[what].replace("/tree/", "/tree/sub/")))
    door.fault("PROPFIND", acts.status(207, body=evil), path="/tree/sub/")

    with pytest.raises(StorageError):
        client_of(door, retries=0).download_tree("/tree", local)

    assert set(everything(tmp_path / "local")) <= {"tree", "tree/sub"}


def test_a_name_of_one_folder_that_is_another_folder_is_only_a_name(
    open_door: Open, client_of: Client, local: Path
) -> None:
    files = {
        f"/tree/{name}": name.encode()
        for name in (
            "a..b",
            "...",
            "..x",
            "-rf",
            "~",
            "$(id)",
            "a\\b",
            "..\\x",
            "C:x",
            "%2e",
            "%2e%2e%2fx",
            "%00",
            "\uff0e\uff0e",
            "a\u2215b",
            "a?b#c",
        )
    }
    door = open_door(files=files)

    client_of(door).download_tree("/tree", local)

    assert {place.name: place.read_bytes() for place in local.iterdir()} == {
        path.rpartition("/")[2]: data for path, data in files.items()
    }


def test_a_name_that_is_listed_twice_is_one_file(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(files={"/tree/x": b"new", "/tree/X": b"other"})
    door.fault("PROPFIND", acts.status(207, body=listing(FOLDER, *map(response, ["/tree/x", "/tree/x", "/tree/X"]))))
    door.sizes |= {"/tree/x": 3}
    door.fault("GET", acts.status(200, body=b"new"), path="/tree/X")

    client_of(door).download_tree("/tree", local)

    assert {place.name: place.read_bytes() for place in local.iterdir()} == {"x": b"new", "X": b"new"}


@pytest.fixture
def outside(tmp_path: Path, local: Path) -> Path:
    """A file that no download may touch."""
    local.mkdir(parents=True)
    precious = tmp_path / "outside" / "precious"
    precious.parent.mkdir()
    precious.write_bytes(b"precious")
    return precious


def test_a_link_to_a_folder_outside_is_not_followed(
    open_door: Open, client_of: Client, local: Path, outside: Path
) -> None:
    door = open_door(files={"/tree/sub/precious": b"bad", "/tree/sub/more/x": b"bad"})
    (local / "sub").symlink_to(outside.parent)

    with pytest.raises(StorageError) as caught:
        client_of(door).download_tree("/tree", local)

    assert "link" in str(caught.value)
    assert everything(outside.parent) == ["precious"]
    assert outside.read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["precious", "new"])
def test_a_link_to_a_file_outside_is_not_followed(
    name: str, open_door: Open, client_of: Client, local: Path, outside: Path
) -> None:
    door = open_door(files={"/tree/link": b"bad"})
    (local / "link").symlink_to(outside.parent / name)

    with pytest.raises(StorageError):
        client_of(door).download_tree("/tree", local)

    assert everything(outside.parent) == ["precious"]
    assert outside.read_bytes() == b"precious"


@pytest.mark.parametrize("link", ["latest", "days"])
def test_a_link_to_another_file_of_the_tree_is_not_followed(
    link: str, open_door: Open, client_of: Client, local: Path
) -> None:
    name = f"/tree/{link}/x" if link == "days" else f"/tree/{link}"
    door = open_door(files={"/tree/night/x": b"1", "/tree/run1": b"1", name: b"22"})
    (local / "night").mkdir(parents=True)
    (local / link).symlink_to("night" if link == "days" else "run1")

    result = client_of(door).download_tree("/tree", local, on_error="continue")

    assert [failure.path for failure in result.failures] == [f"/tree/{link}"]
    assert (local / "night" / "x").read_bytes() == (local / "run1").read_bytes() == b"1"


def test_a_link_that_stays_inside_and_a_target_that_is_a_link_are_fine(
    open_door: Open, client_of: Client, local: Path, tmp_path: Path
) -> None:
    door = open_door(files={"/tree/sub/x": b"new"})
    (local / "real").mkdir(parents=True)
    (local / "sub").symlink_to("real")
    linked = tmp_path / "linked"
    linked.symlink_to(local)

    client_of(door).download_tree("/tree", linked)

    assert (local / "real" / "x").read_bytes() == b"new"
