"""What is asked about files and folders."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any, TypeVar

from fsspec.utils import glob_translate, stringify_path

from ctadata_providers import uri
from ctadata_providers.backends import FileInfo
from ctadata_providers.errors import CtaError, NotADirError, NotFoundError
from ctadata_providers.filesystem.connected import Connected
from ctadata_providers.filesystem.entries import Info, NotOfferedError, entries, entry
from ctadata_providers.session.tasks import asked
from ctadata_providers.transfer import as_ended

T = TypeVar("T")
OnError = str | Callable[[OSError], object]
_AT_ONCE = 16
"""Questions to the server at once."""


class Looking(Connected):
    """The half of a file system that changes nothing."""

    def ls(self, path: Any, detail: bool = True, refresh: bool = False, **kwargs: Any) -> list[Any]:
        """Return the entries of a folder, by their names, or the one of a file.

        Args:
            path: The folder or file.
            detail: Whether all that is known of each is told, or only its path.
            refresh: Whether the server is asked although a listing is kept.
            **kwargs: Not used.
        """
        checked = self._path(path)
        known: list[Info] | None = None if refresh else self.dircache.get(checked)
        if known is None:
            before = self._changes
            try:
                known = entries(self.client.list_dir(checked))
            except NotADirError:
                known = [entry(self.client.stat(checked))]
            else:
                if self._changes == before:
                    self.dircache[checked] = known
        return list(known) if detail else [info["name"] for info in known]

    def info(self, path: Any, **kwargs: Any) -> Info:
        """Tell about a file or folder: `name`, `size`, `type`, `mtime`, `ETag`, `checksums`, `locality`.

        Where nothing is known from a listing, and the server tells it, `created`, too.
        """
        checked = self._path(path)
        for info in self.dircache.get(self._parent(checked)) or ():
            if info["name"] == checked:
                known: Info = info
                return known
        return entry(self.client.stat(checked))

    def exists(self, path: Any, **kwargs: Any) -> bool:
        """Tell whether there is such a file or folder; every other answer than yes or no is an error."""
        return self._type(path) is not None

    def isdir(self, path: Any) -> bool:
        """Tell whether there is such a folder; every other answer than yes or no is an error."""
        return self._type(path) == "directory"

    def isfile(self, path: Any) -> bool:
        """Tell whether there is such a file; every other answer than yes or no is an error."""
        return self._type(path) == "file"

    def _look(self, path: str) -> Info | None:
        """Tell about a file or folder; None is for what is not there."""
        try:
            info: Info = self.info(path)
        except (NotFoundError, NotADirError):
            return None
        return info

    def _type(self, path: Any) -> str | None:
        info = self._look(path)
        return None if info is None else str(info["type"])

    def walk(
        self,
        path: Any,
        maxdepth: int | None = None,
        topdown: bool = True,
        on_error: OnError = "omit",
        detail: bool = False,
        **kwargs: Any,
    ) -> Iterator[tuple[str, Any, Any]]:
        """Give each folder with the names of the folders and of the files in it, as `os.walk` does.

        Args:
            path: The first folder; of a file its only name is empty.
            maxdepth: How many levels, None for all.
            topdown: Whether a folder comes before those in it; what the caller then removes of its folders is left out.
            on_error: What a folder means that cannot be listed: `raise`, `omit`, or what is called with the error.
            detail: Whether all that is known is told, by name.
            **kwargs: Not used.
        """
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        top = self._path(path)
        try:
            listing = self.ls(top)
        except OSError as error:
            if on_error == "raise":
                raise
            if callable(on_error):
                on_error(error)
            return
        folders: Any = {uri.split(info["name"])[1]: info for info in listing if info["type"] == "directory"}
        files: Any = {
            "" if info["name"] == top else uri.split(info["name"])[1]: info
            for info in listing
            if info["type"] != "directory"
        }
        if not detail:
            folders, files = list(folders), list(files)
        if topdown:
            yield top, folders, files
        if maxdepth is None or maxdepth > 1:
            below = None if maxdepth is None else maxdepth - 1
            for name in folders:
                yield from self.walk(uri.join(top, name), below, topdown, on_error, detail)
        if not topdown:
            yield top, folders, files

    def find(
        self,
        path: Any,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        on_error: OnError = "raise",
        **kwargs: Any,
    ) -> Any:
        """Return all files below a folder, by their paths; several folders are listed at once.

        Args:
            path: The folder; a file is found itself, and below what is not there is nothing.
            maxdepth: How many levels, None for all.
            withdirs: Whether folders are found, too, the first one included.
            detail: Whether all that is known of each is told, by path.
            on_error: What a folder means that cannot be listed: `raise`, `omit`, or what is called with the error.
            **kwargs: Not used.
        """
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        top = self._path(path)
        try:
            info = self.info(top)
        except (NotFoundError, NotADirError):
            return {} if detail else []
        if info["type"] == "directory":
            found = {top: info} if withdirs else {}
            found |= {each["name"]: each for each in self._below(top, maxdepth, on_error) if _taken(each, withdirs)}
        else:
            found = {top: info}
        return dict(sorted(found.items())) if detail else sorted(found)

    def _below(self, top: str, maxdepth: int | None, on_error: OnError) -> list[Info]:
        def failed(path: str, error: CtaError) -> None:
            if isinstance(error, NotFoundError):
                return  # it has been removed meanwhile
            if on_error == "raise" or not isinstance(error, OSError):
                raise error
            if callable(on_error):
                on_error(error)

        if maxdepth is None:
            return [entry(info) for info in self.client.walk(top, on_error=failed)]
        found: list[Info] = []
        level = [top]
        for _ in range(maxdepth):
            try_next: list[str] = []
            for listing in self.at_once(lambda folder: self._listed(folder, failed), level):
                found += listing
                try_next += [info["name"] for info in listing if info["type"] == "directory"]
            level = try_next
        return found

    def _listed(self, folder: str, failed: Callable[[str, CtaError], None]) -> list[Info]:
        try:
            listing: list[Info] = self.ls(folder)
        except CtaError as error:
            failed(folder, error)
            return []
        return listing

    def glob(
        self, path: Any, maxdepth: int | None = None, detail: bool = False, withdirs: bool = True, **kwargs: Any
    ) -> Any:
        """Return what matches a pattern, by fsspec's rules; only folders are listed in which something can match.

        A path that exists as it is written is no pattern.

        Args:
            path: The pattern; with `/` at its end it matches folders only.
            maxdepth: How many levels `**` stands for, None for all.
            detail: Whether all that is known of each is told, by path.
            withdirs: Whether folders match, too.
            **kwargs: Not used.

        Raises:
            ValueError: When `**` is part of a name, or `maxdepth` less than 1.
        """
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        only_folders = stringify_path(path).endswith("/")
        pattern = self._path(path)
        fits = re.compile(glob_translate(pattern + "/" * only_folders)).match
        as_folders = only_folders or pattern.endswith("/**")
        deepest = _deepest(pattern, maxdepth)
        found = {}
        for info in self._candidates(pattern):
            name = info.path
            if info.is_dir and not withdirs:
                continue
            if name == pattern or (
                fits(name + "/" * (as_folders and info.is_dir)) and (deepest is None or name.count("/") <= deepest)
            ):
                found[name] = entry(info)
        return dict(sorted(found.items())) if detail else sorted(found)

    def _candidates(self, pattern: str) -> list[FileInfo]:
        """Return at least what matches."""
        try:
            found = list(self.client.glob(pattern, hidden=True))
        except (NotFoundError, NotADirError):
            return []
        # fsspec's last `**` also stands for nothing.
        return found + self._candidates(pattern.removesuffix("/**")) if pattern.endswith("/**") else found

    def du(
        self, path: Any, total: bool = True, maxdepth: int | None = None, withdirs: bool = False, **kwargs: Any
    ) -> Any:
        """Return the bytes of all files below a folder, or those of each by path."""
        found = self.find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True, **kwargs)
        sizes = {name: info["size"] or 0 for name, info in found.items()}
        return sum(sizes.values()) if total else sizes

    def modified(self, path: Any) -> dt.datetime:
        """Return when a file or folder was changed last.

        Raises:
            NotOfferedError: When the server does not tell.
        """
        seconds = self.info(path)["mtime"]
        if seconds is None:
            raise NotOfferedError(f"the server does not tell when {path} was changed", path=self._path(path))
        return dt.datetime.fromtimestamp(seconds, dt.UTC)

    def created(self, path: Any) -> dt.datetime:
        """Return when a file or folder was made; a listing does not tell, so that the server is asked.

        Raises:
            NotOfferedError: When the server does not tell.
        """
        checked = self._path(path)
        seconds = self.client.stat(checked).birthtime
        if seconds is None:
            raise NotOfferedError(
                f"the server does not tell when {path} was made", path=checked, remedy="ask when it was modified"
            )
        return dt.datetime.fromtimestamp(seconds, dt.UTC)

    def checksum(self, path: Any, algorithm: str | None = None) -> Any:
        """Return a number that changes with a file, as far as a listing tells; with an algorithm its checksum.

        Args:
            path: The file.
            algorithm: `adler32`, `md5`, `sha`, `sha-256` or `sha-512`: the checksum, hexadecimal, then comes from the
                listing, else from the server, else it is computed by reading the file.
        """
        if algorithm is None:
            return super().checksum(path)
        return self.client.checksum(self._path(path), algorithm)

    def at_once(self, function: Callable[[Any], T], items: list[Any]) -> list[T]:
        """Return what a function says of each; the first error is raised, and it or a Ctrl-C waits for no answer."""
        if len(items) < 2:
            return [function(item) for item in items]
        asking = ((number, partial(asked, partial(function, item))) for number, item in enumerate(items))
        with closing(as_ended(asking, _AT_ONCE)) as ended:
            told = {number: outcome.result() for number, outcome in ended}
        return [told[number] for number in range(len(items))]


def _taken(info: Info, withdirs: bool) -> bool:
    return withdirs or info["type"] != "directory"


def _deepest(pattern: str, maxdepth: int | None) -> int | None:
    """Return how many slashes a match may have, None for any number."""
    if maxdepth is None or "**" not in pattern:
        return None
    return pattern[: pattern.index("**")].count("/") + maxdepth - 1
