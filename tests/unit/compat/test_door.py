"""What `compat.direct`, and `compat` where a door is configured, make of a door."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import ctadata_providers.compat as both
from ctadata_providers import IsADirError, NotADirError, NotFoundError
from ctadata_providers.compat import direct
from ctadata_providers.testing import FakeCta

ODD = "lst/some-data-dir/sub/b c%20#ü.txt"
Files = Callable[[], list[str]]


@pytest.fixture(params=[direct, both], ids=["direct", "compat"])
def ctadata(request: pytest.FixtureRequest, door: FakeCta) -> ModuleType:
    """The functions, with a door."""
    module: ModuleType = request.param
    return module


def test_a_listing_gives_names_as_davix_prints_them(ctadata: ModuleType) -> None:
    assert sorted(ctadata.list_dir("lst/some-data-dir")) == ["some-data-file", "sub"]
    assert sorted(ctadata.list_dir("/lst/some-data-dir/")) == ["some-data-file", "sub"]
    assert sorted(ctadata.list_dir("/")) == ["cta", "lst"]
    assert ctadata.list_dir("lst//some-data-dir/some-data-file") == ["some-data-file"]


def test_a_recursive_listing_gives_paths(ctadata: ModuleType) -> None:
    listed = ctadata.list_dir("lst/some-data-dir", recursive=True, n_threads=3)

    assert sorted(listed) == ["lst/some-data-dir/some-data-file", "lst/some-data-dir/sub", ODD]


def test_what_a_listing_gives_can_be_fetched_as_it_is(ctadata: ModuleType, files: Files) -> None:
    (entry,) = ctadata.list_dir("lst/some-data-dir/sub")
    sizes = [ctadata.fetch_and_save_file(entry)]
    sizes += [ctadata.fetch_and_save_file(entry[key], save_to_fn=key) for key in ("href", "url")]

    assert sizes == [2, 2, 2]
    assert files() == sorted(["b c%20#ü.txt", "href", "url"])


def test_an_entry_at_a_door_is_a_dictionary_too(ctadata: ModuleType, door: FakeCta) -> None:
    entries = {entry["href"]: dict(entry) for entry in ctadata.list_dir("lst/some-data-dir")}
    file = entries["lst/some-data-dir/some-data-file"]

    assert sorted(entries) == ["lst/some-data-dir/some-data-file", "lst/some-data-dir/sub/"]
    assert (file["type"], file["size"]) == ("file", "10")
    assert file["url"] == f"{door.door_url}/lst/some-data-dir/some-data-file"
    assert file["mtime"].endswith(" GMT")
    assert entries["lst/some-data-dir/sub/"]["type"] == "directory"
    assert "size" not in entries["lst/some-data-dir/sub/"]


def test_a_fetched_file_lands_under_its_last_name(ctadata: ModuleType, files: Files, here: Path) -> None:
    assert ctadata.fetch_and_save_file("lst/some-data-dir/some-data-file") == 10
    assert ctadata.fetch_and_save_file_or_dir("/lst/some-data-dir/some-data-file") == 10
    assert ctadata.fetch_and_save_file("cta://lst/some-data-dir/some-data-file", "other/name") == 10
    assert files() == ["other/name", "some-data-file"]
    assert (here / "some-data-file").read_bytes() == b"0123456789"


def test_a_file_is_whole_or_as_it_was(ctadata: ModuleType, door: FakeCta, files: Files, here: Path) -> None:
    (here / "some-data-file").write_text("old")
    door.faults.add("forbidden", path="/lst/some-data-dir/*", method="GET")
    with pytest.raises(PermissionError):
        ctadata.fetch_and_save_file("lst/some-data-dir/some-data-file")

    assert files() == ["some-data-file"]
    assert (here / "some-data-file").read_text() == "old"


def test_a_missing_file_is_the_standard_error_and_leaves_nothing(ctadata: ModuleType, files: Files) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        ctadata.fetch_and_save_file("lst/some-data-dir/no-such-file")

    assert isinstance(caught.value, ctadata.api.StorageException)
    assert isinstance(caught.value, NotFoundError)
    assert files() == []


def test_a_folder_comes_with_recursive_only(ctadata: ModuleType, files: Files) -> None:
    with pytest.raises(IsADirError):
        ctadata.fetch_and_save_file_or_dir("lst/some-data-dir")
    assert files() == []

    assert ctadata.fetch_and_save_file_or_dir("lst/some-data-dir/", recursive=True) is None
    assert files() == ["some-data-dir/some-data-file", "some-data-dir/sub/b c%20#ü.txt"]


def test_an_upload_tells_where_it_went(ctadata: ModuleType, door: FakeCta, here: Path) -> None:
    (here / "latest.txt").write_text("hello")
    from_the_root = ctadata.upload_file("latest.txt", "your-folder/")  # before alice has a folder
    named = ctadata.upload_file("latest.txt", "lst/users/alice/notes/new-file-name.md")
    completed = ctadata.upload_file(here / "latest.txt", "/lst/users/alice/")

    assert named == {"path": "lst/users/alice/notes/new-file-name.md", "status": "uploaded", "total_written": 5}
    assert completed["path"] == "lst/users/alice/latest.txt"
    assert from_the_root["path"] == "your-folder/latest.txt"
    assert all(door.get(told["path"]) == b"hello" for told in (named, completed, from_the_root))


@pytest.mark.parametrize("known_by", ["the setting", "the token", "a token for that folder alone"])
def test_a_relative_target_is_in_ones_own_folder_where_that_is_known(
    ctadata: ModuleType, door: FakeCta, here: Path, known_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "latest.txt").write_text("hello")
    if known_by == "the setting":
        monkeypatch.setenv("CTA_HOME", "/lst/users/alice")
    else:
        door.make_dir("/lst/users/alice")
    if known_by == "a token for that folder alone":
        rights = ("read", "create", "modify")
        scope = " ".join(f"storage.{right}:/lst/users/alice" for right in rights)
        monkeypatch.setenv("BEARER_TOKEN", door.make_token(scope=scope))
    told = ctadata.upload_file("latest.txt", "your-folder/")
    ctadata.upload_dir(here, "copy")

    assert told["path"] == "lst/users/alice/your-folder/latest.txt"
    assert [path for path in door.paths() if "latest" in path] == [
        "/lst/users/alice/copy/latest.txt",
        "/lst/users/alice/your-folder/latest.txt",
    ]


def test_a_folder_at_the_root_is_meant_before_ones_own(
    ctadata: ModuleType, door: FakeCta, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTA_HOME", "/lst/users/alice")
    door.make_dir("/arc")
    (here / "latest.txt").write_text("hello")

    assert ctadata.upload_file("latest.txt", "arc/x/")["path"] == "arc/x/latest.txt"
    assert ctadata.upload_file("latest.txt", "/elsewhere/x")["path"] == "elsewhere/x"
    assert ctadata.upload_file("latest.txt", "cta/x")["path"] == "cta/x"


def test_a_target_in_the_folders_of_the_data_centre_costs_no_question(
    ctadata: ModuleType, door: FakeCta, here: Path
) -> None:
    (here / "latest.txt").write_text("hello")
    ctadata.upload_file("latest.txt", "lst/some-data-dir/x")

    assert not [request for request in door.requests if request.path.strip("/") in ("lst", "lst/users/alice")]


def test_what_is_in_a_folder_keeps_its_place(ctadata: ModuleType, door: FakeCta, here: Path) -> None:
    (here / "src" / "deep" / "er").mkdir(parents=True)
    (here / "src" / "a").write_text("a")
    (here / "src" / "deep" / "er" / "b").write_text("b")
    for target in ("lst/users/alice/t1", "lst/users/alice/t2/"):
        assert ctadata.upload_dir("src", target) is None

    below = [path for path in door.paths() if "/users/" in path]
    assert below == [f"/lst/users/alice/{target}/{name}" for target in ("t1", "t2") for name in ("a", "deep/er/b")]


def test_a_folder_that_is_none_is_not_uploaded(ctadata: ModuleType, door: FakeCta, here: Path) -> None:
    (here / "file").touch()
    with pytest.raises(NotFoundError):
        ctadata.upload_dir("no-such-folder", "lst/t")
    with pytest.raises(NotADirError):
        ctadata.upload_dir("file", "lst/t")
    with pytest.raises(FileNotFoundError):
        ctadata.upload_file("no-such-file", "lst/t")

    assert not door.exists("/lst/t")


def test_a_refused_token_is_told_as_ctadata_does(ctadata: ModuleType, door: FakeCta) -> None:
    with pytest.raises(ctadata.api.TokenError) as caught:
        ctadata.list_dir("lst", token=door.make_token(lifetime=-60))

    assert isinstance(caught.value, ctadata.api.DirectApiError)
    assert not isinstance(caught.value, direct.StorageException)


def test_a_token_is_taken_by_keyword_and_as_an_attribute(
    ctadata: ModuleType, door: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BEARER_TOKEN")
    client = ctadata.APIClient()
    client.token = door.token

    assert ctadata.list_dir("lst", token=door.token, chunk_size=1000) == ["some-data-dir"]
    assert client.list_dir("lst") == ["some-data-dir"]
    with pytest.raises(ctadata.api.DirectApiError):
        ctadata.list_dir("lst")


def test_direct_stays_at_the_door_whatever_the_services_are(door: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTADS_URL", "https://127.0.0.1:1/services/downloadservice/")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "a-token-of-a-hub")

    assert direct.list_dir("lst", downloadservice="https://127.0.0.1:1/services/downloadservice/") == ["some-data-dir"]


def test_the_dev_instance_is_a_profile(
    ctadata: ModuleType, door: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("CTA_DOOR_URL", "BEARER_TOKEN", "CTA_CA_PATH"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "ctadata-providers").mkdir()
    profile = tmp_path / "ctadata-providers" / "config.toml"
    profile.write_text(
        f'[profiles.dev]\ndoor_url = "{door.door_url}"\ntoken = "{door.token}"\nca_path = "{door.ca_file}"\n'
    )
    profile.chmod(0o600)

    assert ctadata.list_dir("lst", dev_instance=True) == ["some-data-dir"]
    assert ctadata.APIClient(dev_instance=True).list_dir("lst") == ["some-data-dir"]


def test_a_wrong_keyword_is_a_type_error(ctadata: ModuleType) -> None:
    with pytest.raises(TypeError, match="tokens"):
        ctadata.list_dir("lst", tokens="x")
