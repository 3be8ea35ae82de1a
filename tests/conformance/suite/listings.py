"""Listings, walks and patterns."""

import copy
import pickle
import time
from dataclasses import asdict

from ctadata_providers import CtaClient
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage

MANY = 10_000


@feature(Feature.LISTING)
def test_a_listing_tells_name_kind_size_and_time(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f.txt", b"12345")
    storage.put(f"{folder}/sub/inner", b"1")
    found = {info.name: info for info in client.list_dir(f"cta:/{folder}/")}

    assert {name: (info.is_dir, info.size) for name, info in found.items()} == {
        "f.txt": (False, 5),
        "sub": (True, None),
    }
    assert found["f.txt"].uri == f"cta:/{folder}/f.txt"
    assert found["sub"].uri == f"cta:/{folder}/sub/"
    assert abs((found["f.txt"].mtime or 0) - time.time()) < 120
    assert client.stat(f"{folder}/f.txt") == found["f.txt"]
    assert client.stat(f"{folder}/sub") == found["sub"]


@feature(Feature.LISTING)
def test_what_a_listing_tells_can_be_copied_and_sent_to_another_process(
    storage: Storage, client: CtaClient, folder: str
) -> None:
    storage.put(f"{folder}/f", b"12345")
    (info,) = client.list_dir(folder)

    assert pickle.loads(pickle.dumps(info)) == copy.deepcopy(info) == info
    assert asdict(info)["path"] == info.path
    assert hash(info) == hash(copy.copy(info))


@feature(Feature.LISTING)
def test_the_root_can_be_listed_and_told_about(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f", b"1")

    assert client.stat("/").is_dir
    assert client.exists("cta://")
    assert "/" + folder.split("/")[1] in [info.path for info in client.list_dir("/")]


@feature(Feature.MANY)
def test_a_folder_with_many_entries_is_listed_whole(storage: Storage, client: CtaClient, folder: str) -> None:
    names = {f"event file {number:05d} #{number % 7}.fits" for number in range(MANY)}
    storage.put_empty(folder, names)
    listed = [info.name for info in client.list_dir(folder)]

    assert len(listed) == MANY
    assert set(listed) == names


@feature(Feature.HIDDEN)
def test_unfinished_uploads_are_hidden(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f", b"1")
    storage.put(f"{folder}/.hidden", b"1")
    storage.put(f"{folder}/.f.1a2b3c4d.0123.ctapart", b"1")
    storage.put(f"{folder}/sub/.f.1a2b3c4d.0123.ctapart", b"1")

    assert sorted(info.name for info in client.list_dir(folder)) == [".hidden", "f", "sub"]
    assert sorted(info.name for info in client.walk(folder)) == [".hidden", "f", "sub"]
    assert [info.name for info in client.glob(f"{folder}/**")] == ["f", "sub"]
    assert [info.name for info in client.glob(f"{folder}/.*")] == [".hidden"]


@feature(Feature.WALK)
def test_a_walk_gives_all_and_each_folder_before_what_is_in_it(
    storage: Storage, client: CtaClient, folder: str
) -> None:
    files = {"a", "b/c", "b/d/e", "b/d/f/g", "h/i"}
    for name in files:
        storage.put(f"{folder}/{name}", b"1")
    walked = [info.path.removeprefix(folder + "/") for info in client.walk(folder)]

    assert set(walked) == files | {"b", "b/d", "b/d/f", "h"}
    assert len(walked) == len(set(walked))
    assert all(walked.index(name.rpartition("/")[0]) < walked.index(name) for name in walked if "/" in name)


@feature(Feature.WALK)
def test_patterns_find_what_matches_in_order(storage: Storage, client: CtaClient, folder: str) -> None:
    for name in (
        "n1/r1.fits",
        "n1/r2.fits",
        "n1/r10.txt",
        "n2/r1.fits",
        "n2/deep/r9.fits",
        "n2/[x].fits",
        ".h/r1.fits",
    ):
        storage.put(f"{folder}/{name}", b"1")

    def found(pattern: str) -> list[str]:
        return [info.path.removeprefix(folder + "/") for info in client.glob(f"{folder}/{pattern}")]

    assert found("n?/r?.fits") == ["n1/r1.fits", "n1/r2.fits", "n2/r1.fits"]
    assert found("*") == ["n1", "n2"]
    assert found("**/r[19].fits") == ["n1/r1.fits", "n2/r1.fits", "n2/deep/r9.fits"]
    assert found("n2/[[]x].fits") == ["n2/[x].fits"]
    assert found("n1/r1.fits") == ["n1/r1.fits"]
    assert found("n1/nothing.fits") == []
    assert found("nothing*/x") == []
