"""Which paths of a tree a selection takes, and which folders it looks into."""

import pickle
import re
from fnmatch import fnmatchcase
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctadata_providers.errors import ConfigError
from ctadata_providers.patterns import EVERYTHING, PathPattern, Selection, has_magic

TREE = (
    "a.fits",
    ".hidden",
    "[x].fits",
    "line\nbreak.fits",
    "it's #1+%41.fits",
    "logs/today.log",
    "night1/a.fits",
    "night1/b.h5",
    "night1/.tmp/c.fits",
    "night1/logs/x/y.log",
    "night2/deep/er/a.fits",
    "night2/deep/logs",
    "empty/",
    "ü/日本.fits",
)


def taken(selection: Selection) -> list[str]:
    """Return what is taken of the tree, as a walk does it that looks into no folder that is not to be entered."""
    found = []
    for path in TREE:
        names = path.removesuffix("/").split("/")
        parents = list(accumulate(names, "{}/{}".format))[:-1]
        if all(map(selection.enters, parents)) and selection.takes("/".join(names), is_dir=path.endswith("/")):
            found.append(path)
    return found


def test_everything_is_taken_without_patterns() -> None:
    assert taken(EVERYTHING) == list(TREE)
    assert EVERYTHING == Selection() == Selection.of()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        # A name at any depth.
        ("a.fits", ["a.fits", "night1/a.fits", "night2/deep/er/a.fits"]),
        ("*.h5", ["night1/b.h5"]),
        ("?.fits", ["a.fits", "night1/a.fits", "night1/.tmp/c.fits", "night2/deep/er/a.fits"]),
        ("[!a].fits", ["night1/.tmp/c.fits"]),
        ("logs", ["logs/today.log", "night1/logs/x/y.log", "night2/deep/logs"]),
        ("**", list(TREE)),
        ("*", list(TREE)),
        # Folders only.
        ("logs/", ["logs/today.log", "night1/logs/x/y.log"]),
        ("a.fits/", []),
        ("empty/", ["empty/"]),
        ("*/", [path for path in TREE if "/" in path]),
        # From the top.
        ("/a.fits", ["a.fits"]),
        ("/logs", ["logs/today.log"]),
        ("/*.fits", ["a.fits", "[x].fits", "line\nbreak.fits", "it's #1+%41.fits"]),
        ("night1/a.fits", ["night1/a.fits"]),
        ("/night1/a.fits", ["night1/a.fits"]),
        ("night?/*.fits", ["night1/a.fits"]),
        ("night1", ["night1/a.fits", "night1/b.h5", "night1/.tmp/c.fits", "night1/logs/x/y.log"]),
        ("er/a.fits", []),
        ("night2/*/", ["night2/deep/er/a.fits", "night2/deep/logs"]),
        # Any number of folders.
        ("**/a.fits", ["a.fits", "night1/a.fits", "night2/deep/er/a.fits"]),
        ("/**/a.fits", ["a.fits", "night1/a.fits", "night2/deep/er/a.fits"]),
        ("night2/**/a.fits", ["night2/deep/er/a.fits"]),
        ("night1/**/a.fits", ["night1/a.fits"]),
        ("**/logs/**", ["logs/today.log", "night1/logs/x/y.log"]),
        ("**/**/logs/**/**", ["logs/today.log", "night1/logs/x/y.log"]),
        ("empty/**", []),
        ("empty", ["empty/"]),
        ("night1/**/", ["night1/.tmp/c.fits", "night1/logs/x/y.log"]),
        ("**/x/*.log", ["night1/logs/x/y.log"]),
        ("night**", [path for path in TREE if path.startswith("night")]),
        # Dots are letters like others.
        (".*", [".hidden", "night1/.tmp/c.fits"]),
        ("*hidden", [".hidden"]),
        ("*/*/c.fits", ["night1/.tmp/c.fits"]),
        # What stands for itself.
        ("[[]x].fits", ["[x].fits"]),
        ("[x].fits", []),
        ("[x", []),
        ("line\nbreak.fits", ["line\nbreak.fits"]),
        ("line*", ["line\nbreak.fits"]),
        ("line?break.fits", ["line\nbreak.fits"]),
        ("it's #1+%41.fits", ["it's #1+%41.fits"]),
        ("ü/日*", ["ü/日本.fits"]),
        ("A.fits", []),
        ("a.fits\n", []),
        ("a-fits", []),
    ],
)
def test_what_a_pattern_includes_and_excludes(pattern: str, found: list[str]) -> None:
    assert taken(Selection(include=(pattern,))) == found
    assert taken(Selection(exclude=(pattern,))) == [path for path in TREE if path not in found]


def test_what_is_excluded_is_not_included() -> None:
    assert taken(Selection(include=("night1", "a.fits"), exclude=(".tmp/", "logs"))) == [
        "a.fits",
        "night1/a.fits",
        "night1/b.h5",
        "night2/deep/er/a.fits",
    ]


@pytest.mark.parametrize(
    ("include", "folder", "entered"),
    [
        ("night1/deep/a.fits", "night1", True),
        ("night1/deep/a.fits", "night1/deep", True),
        ("night1/deep/a.fits", "night2", False),
        ("night1/deep/a.fits", "night1/other", False),
        ("night1/deep/a.fits", "night1/deep/er", False),
        ("night1/deep/a.fits", "night1/deep/a.fits", True),  # a folder of that name, covered
        ("night?/*.fits", "night1", True),
        ("night?/*.fits", "night10", False),
        ("/a.fits", "night1", False),
        ("a.fits", "night1", True),
        ("night1/**/a.fits", "night1/any/thing", True),
        ("night1/**/a.fits", "night2", False),
        ("**/x/y", "any", True),
        ("night1/", "night1/deep/er", True),
        ("/night1/*/", "night2", False),
    ],
)
def test_only_folders_that_may_hold_something_are_entered(include: str, folder: str, entered: bool) -> None:
    assert Selection(include=(include,)).enters(folder) is entered


@pytest.mark.parametrize(
    ("exclude", "folder", "entered"),
    [
        ("tmp", "tmp", False),
        ("tmp", "a/tmp", False),
        ("tmp/", "a/tmp/deep", False),
        ("/tmp", "a/tmp", True),
        ("tmp/**", "tmp", False),
        ("tmp/*", "tmp", False),
        ("tmp/*/", "tmp", True),
        ("tmp/**/a", "tmp", True),
        ("*.fits", "a", True),
        ("**", "a", False),
    ],
)
def test_an_excluded_folder_is_not_entered(exclude: str, folder: str, entered: bool) -> None:
    assert Selection(exclude=(exclude,)).enters(folder) is entered
    assert Selection(include=("a", "tmp"), exclude=(exclude,)).enters(folder) is entered


def test_a_folder_on_the_way_is_not_taken_for_itself() -> None:
    selection = Selection(include=("night1/a.fits",))

    assert not selection.takes("night1", is_dir=True)
    assert selection.enters("night1")


@pytest.mark.parametrize("pattern", ["", "/", "//", "a//b", "//a", "a//", "..", "../a", "a/../b", ".", "./a", "a\0"])
def test_a_bad_pattern_is_named(pattern: str) -> None:
    for patterns in ({"include": (pattern,)}, {"exclude": ("good", pattern)}):
        with pytest.raises(ConfigError) as caught:
            Selection(**patterns)

        assert repr(pattern) in str(caught.value)
        assert caught.value.remedy


def test_a_text_alone_is_one_pattern() -> None:
    assert Selection.of("*.fits", iter(["a", "b"])) == Selection(("*.fits",), ("a", "b"))


def test_a_selection_is_a_value() -> None:
    selection = Selection(include=("*.fits",), exclude=("tmp/",))

    assert pickle.loads(pickle.dumps(selection)) == selection
    assert {selection, Selection(("*.fits",), ("tmp/",))} == {selection}
    assert repr(selection) == "Selection(include=('*.fits',), exclude=('tmp/',))"


NAMES = st.text(st.sampled_from("ab.[]*?!-^\\\n"), min_size=1).filter(lambda name: name not in (".", ".."))


@given(NAMES)
def test_a_name_in_brackets_is_matched_alone(name: str) -> None:
    selection = Selection(include=(re.sub(r"([*?\[])", r"[\1]", name),))

    assert selection.takes(name, is_dir=False)
    assert not selection.takes(name + "a", is_dir=False)
    assert not selection.takes("a" + name, is_dir=False)


@given(st.lists(NAMES, min_size=1, max_size=4), st.lists(st.one_of(st.just("**"), NAMES), min_size=2, max_size=4))
def test_a_folder_is_entered_when_anything_below_it_is_taken(names: list[str], elements: list[str]) -> None:
    included, excluded = Selection(include=("/".join(elements),)), Selection(exclude=("/".join(elements),))
    path = "/".join(names)
    parents = list(accumulate(names, "{}/{}".format))[:-1]

    assert included.takes(path, is_dir=False) is not excluded.takes(path, is_dir=False)
    for selection in (included, excluded):
        assert all(map(selection.enters, parents)) or not selection.takes(path, is_dir=False)


def fits(names: list[str], elements: list[str]) -> bool:
    """Tell by trying all whether names match, the slow way."""
    if not elements:
        return not names
    if elements[0] == "**":
        first = 1 if elements == ["**"] else 0
        return any(fits(names[count:], elements[1:]) for count in range(first, len(names) + 1))
    return bool(names) and fnmatchcase(names[0], elements[0]) and fits(names[1:], elements[1:])


@given(
    st.lists(st.sampled_from(["a", "b", ".b"]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["**", "*", "a", "[!a]", "?b"]), min_size=1, max_size=5),
)
def test_a_pattern_is_followed_to_what_trying_all_finds(names: list[str], elements: list[str]) -> None:
    pattern = PathPattern(elements)
    places = pattern.start
    for name in names:
        places = pattern.step(places, name)

    assert places.matched is fits(names, elements)


def test_names_that_begin_with_a_dot_are_met_only_where_that_is_wanted() -> None:
    pattern = PathPattern(["**", "*"], hidden=False)

    assert pattern.step(pattern.start, "a").matched
    assert not pattern.step(pattern.start, ".a").following
    assert PathPattern([".*"], hidden=False).step(PathPattern([".*"], hidden=False).start, ".a").matched


def test_many_stars_cost_no_time() -> None:
    selection = Selection(include=("/".join(["**", "*a*a*a*a*a*a*a*b"] * 10),))

    assert not selection.takes("/".join(["a" * 60] * 30), is_dir=False)


def test_magic_is_recognised() -> None:
    assert all(map(has_magic, ("*", "a?", "[a]", "[", "/x/**/y")))
    assert not any(map(has_magic, ("", "/a/b", "]", "a#b%41")))
