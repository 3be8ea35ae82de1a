"""A tree as one draws it, and what its folders come to."""

import pytest

from ctadata_providers import ConfigError, CtaClient, CtaError, NotADirError, NotFoundError, StorageError
from ctadata_providers.testing import FakeCta
from tests.unit.client.calls import connect


@pytest.fixture
def night(fake_cta: FakeCta) -> FakeCta:
    """A tree with an empty folder and an unfinished upload."""
    for path, size in {"b": 1, "a/z": 10, "a/c/d": 100, "a/c/e/f": 1000, "c.txt": 10_000}.items():
        fake_cta.put(f"/lst/{path}", bytes(size))
    fake_cta.make_dir("/lst/a/empty")
    fake_cta.put("/lst/a/.x.0123456789abcdef0123456789abcdef.0123456789abcdef0123456789abcdef.ctapart", b"half")
    return fake_cta


def test_a_tree_comes_by_names_with_what_is_in_a_folder_right_behind_it(night: FakeCta, client: CtaClient) -> None:
    found = [(item.info.path, item.lasts) for item in client.tree("lst")]

    assert found == [
        ("/lst/a", (False,)),
        ("/lst/a/c", (False, False)),
        ("/lst/a/c/d", (False, False, False)),
        ("/lst/a/c/e", (False, False, True)),
        ("/lst/a/c/e/f", (False, False, True, True)),
        ("/lst/a/empty", (False, False)),
        ("/lst/a/z", (False, True)),
        ("/lst/b", (False,)),
        ("/lst/c.txt", (True,)),
    ]


def test_a_tree_is_listed_as_deep_as_it_is_wanted(night: FakeCta, client: CtaClient) -> None:
    night.clear_requests()

    assert [item.info.path for item in client.tree("lst", depth=1)] == ["/lst/a", "/lst/b", "/lst/c.txt"]
    assert [request.path for request in night.requests if request.method == "PROPFIND"] == ["/lst"]


def test_a_tree_has_folders_only_or_leaves_out_what_is_not_wanted(night: FakeCta, client: CtaClient) -> None:
    folders = [(item.info.path, item.lasts[-1]) for item in client.tree("lst", only_folders=True)]

    assert folders == [("/lst/a", True), ("/lst/a/c", False), ("/lst/a/c/e", True), ("/lst/a/empty", True)]
    assert [item.info.path for item in client.tree("lst", exclude=["c", "*.txt", "empty"])] == [
        *("/lst/a", "/lst/a/z", "/lst/b")
    ]


def test_each_folder_comes_to_the_sum_of_what_is_below_it(night: FakeCta, client: CtaClient) -> None:
    told = [(it.info.path, it.depth, it.size, it.files, it.folders) for it in client.usage("lst")]

    assert told == [
        ("/lst/a/c/e", 3, 1000, 1, 0),
        ("/lst/a/c", 2, 1100, 2, 1),
        ("/lst/a/empty", 2, 0, 0, 0),
        ("/lst/a", 1, 1110, 3, 3),
        ("/lst", 0, 11_111, 5, 4),
    ]
    assert [(it.size, it.files) for it in client.usage("lst", exclude=["*.txt", "e"])] == [
        *((100, 1), (0, 0), (110, 2), (111, 3))
    ]


def test_a_file_comes_to_its_size(night: FakeCta, client: CtaClient) -> None:
    assert [(it.info.path, it.depth, it.size, it.files) for it in client.usage("lst/b")] == [("/lst/b", 0, 1, 1)]


def test_a_folder_that_cannot_be_listed_is_told_and_the_others_count(night: FakeCta) -> None:
    night.faults.add("forbidden", method="PROPFIND", path="/lst/a/c")
    told: dict[str, CtaError] = {}
    with connect(night) as client:
        drawn = [item.info.path for item in client.tree("lst", on_error=told.__setitem__)]
        sizes = {it.info.path: it.size for it in client.usage("lst", on_error=told.__setitem__)}
        with pytest.raises(CtaError, match="/lst/a/c"):
            list(client.tree("lst"))

    assert list(told) == ["/lst/a/c"]
    assert "/lst/a/z" in drawn
    assert "/lst/a/c/d" not in drawn
    assert sizes == {"/lst/a/c": 0, "/lst/a/empty": 0, "/lst/a": 10, "/lst": 10_011}


def test_what_is_no_folder_is_an_error(night: FakeCta, client: CtaClient) -> None:
    with pytest.raises(NotFoundError):
        list(client.tree("lst/none"))
    with pytest.raises(NotADirError):
        list(client.tree("lst/b"))
    with pytest.raises(NotFoundError):
        list(client.usage("lst/none"))


def test_reading_a_file_on_tape_is_tried_once(night: FakeCta) -> None:
    night.put("/lst/tape", b"12345")
    night.faults.add("nearline", path="/lst/tape", seconds=0.01)
    with connect(night, retries=3) as client, pytest.raises(StorageError, match=r"cannot read /lst/tape.*NEARLINE"):
        client.read("lst/tape", end=2)

    assert [request.status for request in night.requests if request.method == "GET"] == [500]


def test_a_range_that_cannot_be_is_refused(night: FakeCta, client: CtaClient) -> None:
    for start, end in ((-1, None), (5, 4)):
        with pytest.raises(ConfigError, match="range"):
            client.stream("lst/b", bytes, start=start, end=end)
    with pytest.raises(ConfigError, match="tells of"):
        client.stream("lst/b", bytes, info=client.stat("lst/c.txt"))


def test_a_folder_of_many_is_not_listed_before_it_is_wanted(night: FakeCta, client: CtaClient) -> None:
    tree = client.tree("lst")
    night.clear_requests()

    assert night.requests == []
    assert next(iter(tree)).info.path == "/lst/a"
