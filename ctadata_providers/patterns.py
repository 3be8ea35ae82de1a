"""Patterns: what a name fits, and which paths of a tree are taken.

One language for globs, for `include` and `exclude`, and for the options of those names:

* Within a name, `*` stands for any characters, `?` for one, `[abc]`, `[0-9]` for one of these, `[!a]` for one that is
  not; a bracket without its other half stands for itself, and so does every other character. Case matters.
* `**` as a whole element stands for any number of folders, also none; at the end for all that is below.
* A literal `*`, `?` or `[` is written `[*]`, `[?]`, `[[]`.

What is more for a `Selection` is told there.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from itertools import pairwise
from typing import Self

from ctadata_providers.errors import ConfigError

_MAGIC = re.compile(r"[*?\[]")
_ITSELF = re.compile(r"\[([*?\[])\]")
_ANY_DEPTH = "**"


def has_magic(text: str) -> bool:
    """Tell whether a path is a pattern.

    >>> has_magic("lst/*.fits"), has_magic("lst/a.fits")
    (True, False)
    """
    return _MAGIC.search(text) is not None


def literal(text: str) -> str | None:
    """Return the one path that a text means, in which `[*]`, `[?]` and `[[]` stand for themselves; None for a pattern.

    >>> literal("lst/a.fits"), literal("lst/run[[]1].fits"), literal("lst/[*]*.fits")
    ('lst/a.fits', 'lst/run[1].fits', None)
    """
    return None if has_magic(_ITSELF.sub("", text)) else _ITSELF.sub(r"\1", text)


@dataclass(frozen=True, slots=True)
class Places:
    """Where in a pattern one stands after some names: the elements that the next name may meet.

    Attributes:
        matched: Whether the names match the whole pattern.
        following: The positions of the elements that may come next; empty when nothing below can match.
    """

    matched: bool
    following: frozenset[int]


class PathPattern:
    """A pattern of several elements, followed name by name from a folder down.

    Args:
        elements: Its elements, without slashes.
        hidden: Whether `*`, `?`, `[..]` and `**` also stand for a dot at the beginning of a name.
    """

    def __init__(self, elements: Sequence[str], *, hidden: bool = True) -> None:
        last = [_ANY_DEPTH, "*"] if elements[-1] == _ANY_DEPTH else [elements[-1]]
        before = [e for e, following in pairwise(elements) if [e, following] != [_ANY_DEPTH] * 2]
        self._elements = (*before, *last)
        self._fits = tuple(re.compile(translate(element)).fullmatch for element in self._elements)
        self._hidden = hidden
        self.start = Places(matched=False, following=self._reach({0}))

    def step(self, places: Places, name: str) -> Places:
        """Return where one stands after one more name."""
        after = set()
        for place in places.following:
            element = self._elements[place]
            if name.startswith(".") and not (self._hidden or element.startswith(".")):
                continue
            if element == _ANY_DEPTH:
                after.add(place)
            elif self._fits[place](name):
                after.add(place + 1)
        end = len(self._elements)
        return Places(matched=end in after, following=self._reach(after - {end}))

    def literals(self, places: Places) -> list[str] | None:
        """Return the only names that can follow, None when they are not known without a look."""
        names = {self._elements[place] for place in places.following}
        return None if any(map(has_magic, names)) else sorted(names)

    def takes_any(self, places: Places) -> bool:
        """Tell whether every name that follows matches the whole pattern."""
        last = len(self._elements) - 1
        return self._hidden and self._elements[last] == "*" and last in places.following

    def _reach(self, places: set[int]) -> frozenset[int]:
        """Add what stands after a `**`, which may be no folder at all; two of them never follow each other."""
        return frozenset(places | {place + 1 for place in places if self._elements[place] == _ANY_DEPTH})


@dataclass(frozen=True, slots=True)
class _Meeting:
    """What a pattern says of a path: whether it covers it, and whether some or all that is below it."""

    covered: bool
    some_below: bool
    all_below: bool


class _Rule:
    """One pattern of a selection."""

    def __init__(self, text: str) -> None:
        body = text.removesuffix("/")
        elements = body.removeprefix("/").split("/")
        if not all(elements) or "\0" in text or {".", ".."} & set(elements):
            raise ConfigError(
                f"not a usable pattern: {text!r}",
                remedy="write names and patterns between '/', such as '*.fits', 'night1/*.h5', '/logs' or 'tmp/'",
            )
        self._only_folders = body != text
        self._pattern = PathPattern(elements if "/" in body else [_ANY_DEPTH, *elements])

    def meets(self, names: Sequence[str], *, is_dir: bool) -> _Meeting:
        """Tell what the pattern says of a path and, if it is a folder, of what is below it."""
        places = self._pattern.start
        for number, name in enumerate(names, start=1):
            places = self._pattern.step(places, name)
            if places.matched and (is_dir or number < len(names) or not self._only_folders):
                return _Meeting(covered=True, some_below=True, all_below=True)
        all_below = not self._only_folders and self._pattern.takes_any(places)
        return _Meeting(covered=False, some_below=bool(places.following), all_below=all_below)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which paths of a tree are taken: those that `include` matches, all without it, but none that `exclude` matches.

    A pattern without `/`, but for one at its end, matches a name at any depth. One with `/` matches the path from the
    tree's top; a `/` at its beginning means the same for one name. A `/` at its end matches folders only. What matches
    a folder covers all below it. `*` also stands for a dot at the beginning of a name.

    Attributes:
        include: Patterns of what is taken; none takes all. A folder on the way to it belongs to the tree, too.
        exclude: Patterns of what is left out, also of what `include` matches.

    Raises:
        ConfigError: For a pattern that is empty, has an empty element, `.` or `..`, or a NUL.

    >>> night = Selection(include=("*.fits",), exclude=("tmp/", "/old"))
    >>> night.takes("a/b.fits", is_dir=False), night.takes("a/tmp/b.fits", is_dir=False)
    (True, False)
    >>> night.enters("a"), night.enters("old")
    (True, False)
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    _included: tuple[_Rule, ...] = field(init=False, repr=False, compare=False)
    _excluded: tuple[_Rule, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_included", tuple(map(_Rule, self.include)))
        object.__setattr__(self, "_excluded", tuple(map(_Rule, self.exclude)))

    @classmethod
    def of(cls, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Self:
        """Return the selection of some patterns; a text alone is one pattern."""
        include, exclude = ((given,) if isinstance(given, str) else tuple(given) for given in (include, exclude))
        return cls(include, exclude)

    def takes(self, relative: str, *, is_dir: bool) -> bool:
        """Tell whether an entry is taken for itself, or with a folder above it.

        A folder that is not may still be needed for what is taken in it.

        Args:
            relative: Its path from the tree's top, without `/` at the ends.
            is_dir: Whether it is a folder.
        """
        if not self._included and not self._excluded:
            return True
        names = relative.split("/")
        if any(rule.meets(names, is_dir=is_dir).covered for rule in self._excluded):
            return False
        return not self._included or any(rule.meets(names, is_dir=is_dir).covered for rule in self._included)

    def enters(self, relative: str) -> bool:
        """Tell whether anything below a folder may be taken; if not, it need not be listed."""
        names = relative.split("/")
        if any(rule.meets(names, is_dir=True).all_below for rule in self._excluded):
            return False
        return not self._included or any(rule.meets(names, is_dir=True).some_below for rule in self._included)


EVERYTHING = Selection()
