"""What was seen of folders, who wants to know, and so what is to be asked next; asks nobody itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ctadata_providers import FileInfo, uri

LISTED_FROM = 4
"""Wanted objects from which a folder is listed as a whole; fewer are looked at one by one."""
GIVEN_UP_AFTER = 20_000
"""Entries after which a listing is given up, unless enough of them are wanted."""
WANTED_ONE_IN = 20
"""One wanted entry in so many is enough."""
LISTED_AGAIN_AT_ONCE = 1_000
"""Entries up to which a folder is listed again as soon as one answer is too old; of a larger one the first few names
are looked at one by one, for Snakemake may wait for a single file."""
NEVER = float("-inf")


class Question(NamedTuple):
    """What one request answers: all of a folder, or one name."""

    act: Literal["list", "look"]
    path: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a name.

    Attributes:
        info: Its record, None when there was none.
        at: When the question was asked.
        told: When the answer came.
    """

    info: FileInfo | None
    at: float
    told: float


@dataclass(slots=True)
class Folder:
    """What was seen of a folder: names that are neither in `seen` nor in `entries` were absent when it was listed.

    Attributes:
        listed: When it was listed as a whole.
        entries: What it then held.
        is_missing: Whether it was not there then.
        seen: What was seen of names since, or without a listing.
        wanted: Names of objects that jobs have or that were asked for, and when they were asked for last.
        looked: Names that were looked at alone since the listing.
        may_list: Whether it may be listed, as far as is known.
        too_large: Entries at which its listing was given up, 0 for never.
    """

    listed: Seen = field(default_factory=lambda: Seen(None, NEVER, NEVER))
    entries: Mapping[str, FileInfo] = field(default_factory=dict)
    is_missing: bool = False
    seen: dict[str, Seen] = field(default_factory=dict)
    wanted: dict[str, float] = field(default_factory=dict)
    looked: set[str] = field(default_factory=set)
    may_list: bool = True
    too_large: int = 0

    def of(self, name: str) -> Seen:
        """Return what was seen of a name; of one that a listing did not show, that it was absent."""
        seen = self.seen.get(name)
        if seen is None and (info := self.entries.get(name)) is not None:
            return Seen(info, self.listed.at, self.listed.told)
        return seen or self.listed

    def present(self) -> Mapping[str, FileInfo]:
        """Return what stands in it, by name."""
        if not self.seen:
            return self.entries
        return {name: info for name in (*self.entries, *self.seen) if (info := self.of(name).info) is not None}

    def doubt(self, name: str) -> None:
        """Believe no longer that a name is missing, nor others that the listing did not show."""
        self.seen = {other: self.of(other) for other in (*self.entries, *self.seen) if other != name}
        self.is_missing = False
        self.forget_listing()

    def forget_listing(self) -> None:
        """Believe the listing no longer."""
        self.listed, self.entries = Seen(None, NEVER, NEVER), {}

    def holds_enough(self, entries: int) -> bool:
        """Tell whether enough of so many entries may be wanted to go on listing."""
        return entries < GIVEN_UP_AFTER or len(self.wanted) * WANTED_ONE_IN >= entries

    def is_listed_for(self, names: set[str]) -> bool:
        """Tell whether the whole folder is listed to know about some names."""
        if not self.may_list or len(self.wanted) < LISTED_FROM:
            return False
        if self.too_large and not self.holds_enough(self.too_large):
            return False
        again = self.listed.at != NEVER and len(self.entries) > LISTED_AGAIN_AT_ONCE
        return not again or len(self.looked | names) >= LISTED_FROM


class Known:
    """All folders of a storage; to be used under the lock of its owner.

    Args:
        present: Seconds for which a file that was there is taken to be there still.
        absent: Seconds for which a file that was not there is taken to be missing still.
    """

    def __init__(self, *, present: float, absent: float) -> None:
        self._present, self._absent = present, absent
        self._folders: dict[str, Folder] = {}
        self._unasked: dict[str, set[str]] = {}

    def folder(self, path: str) -> Folder:
        """Return what is known of a folder."""
        return self._folders.get(path) or self._folders.setdefault(path, Folder())

    def want(self, path: str) -> None:
        """Note that a job has this object: it will be asked for."""
        parent, name = uri.split(path)
        folder = self.folder(parent)
        if name not in folder.wanted:
            folder.wanted[name] = NEVER
            self._unasked.setdefault(parent, set()).add(name)

    def asked(self, path: str, now: float) -> Seen | None:
        """Return what is known of a path and still believed; note that it was asked for."""
        parent, name = uri.split(path)
        folder = self.folder(parent)
        folder.wanted[name] = now
        seen = folder.of(name)
        return seen if self.believed(seen, now) else None

    def told_since(self, path: str, begun: float) -> Seen | None:
        """Return what was told of a path since a time, even if that took too long to be believed by others."""
        parent, name = uri.split(path)
        seen = self.folder(parent).of(name)
        return seen if seen.told >= begun else None

    def believed(self, seen: Seen, now: float) -> bool:
        """Tell whether something was seen recently enough; what took long to be told is believed as long again."""
        if seen.info is None:
            return now - seen.at < self._absent
        return now - seen.at < max(self._present, 2 * (seen.told - seen.at))

    def question(self, path: str) -> Question:
        """Return what to ask to know about a path."""
        parent, name = uri.split(path)
        folder = self.folder(parent)
        if folder.is_listed_for({name}):
            return Question("list", parent)
        folder.looked.add(name)
        return Question("look", path)

    def further_questions(self, path: str, now: float) -> Iterator[Question]:
        """Give what will be asked soon, too: of objects of jobs that nobody has asked for yet, and what was just asked.

        Snakemake asks for one object after the other; a round trip for each would add up.
        """
        unasked, self._unasked = self._unasked, {}
        for parent, names in unasked.items():
            folder = self.folder(parent)
            yield from self._questions(parent, {name for name in names if not self.believed(folder.of(name), now)})
        above, own_name = uri.split(path)
        if self.folder(above).of(own_name).info is None:
            return
        for parent, folder in list(self._folders.items()):
            stale = {
                name
                for name, at in folder.wanted.items()
                if now - at < self._present and (seen := folder.of(name)).info and not self.believed(seen, now)
            }
            yield from self._questions(parent, stale)

    def _questions(self, parent: str, names: set[str]) -> Iterator[Question]:
        if names and self.folder(parent).is_listed_for(names):
            yield Question("list", parent)
            return
        for name in names:
            yield Question("look", f"{parent.rstrip('/')}/{name}")

    def remember(self, path: str, seen: Seen) -> None:
        """Note what was seen of a path, unless something newer is known; what was known below it is forgotten."""
        parent, name = uri.split(path)
        folder = self.folder(parent)
        if folder.of(name).at > seen.at:
            return
        if seen.info is None or not seen.info.is_dir:
            self._forget_below(path)
        folder.seen[name] = seen
        folder.is_missing = folder.is_missing and seen.info is None
        while seen.info is not None and parent != "/":
            # What exists has existing parents: nothing may go on saying that they are missing.
            parent, name = uri.split(parent)
            above = self._folders.get(parent)
            if above is not None and above.of(name).info is None:
                above.doubt(name)

    def listed(self, path: str, found: Mapping[str, FileInfo] | None, at: float, told: float) -> None:
        """Note what stands in a folder, None if it is missing; what this process did there meanwhile is newer."""
        folder = self.folder(path)
        folder.is_missing = found is None
        folder.seen = {name: seen for name, seen in folder.seen.items() if seen.at >= at}
        folder.listed, folder.entries, folder.too_large = Seen(None, at, told), found or {}, 0
        folder.looked.clear()

    def _forget_below(self, path: str) -> None:
        for parent in [parent for parent in self._folders if parent == path or parent.startswith(f"{path}/")]:
            self._folders[parent].seen = {}
            self._folders[parent].forget_listing()
