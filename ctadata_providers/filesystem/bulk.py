"""What is done with many files at once: the transfer engine under fsspec's names."""

import os
from collections.abc import Iterable, Mapping
from contextlib import closing
from glob import has_magic
from pathlib import Path
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.implementations.local import LocalFileSystem, make_path_posix, trailing_sep
from fsspec.utils import isfilelike

from ctadata_providers.errors import ConfigError, NotFoundError
from ctadata_providers.filesystem.callbacks import Told
from ctadata_providers.filesystem.entries import Info, entry, file_info, size_to_read
from ctadata_providers.filesystem.expansion import Found, expanded, is_folder, targets
from ctadata_providers.filesystem.looking import Looking
from ctadata_providers.filesystem.slices import is_from_end, slice_of


class Bulk(Looking):
    """The half of `CtaFileSystem` that takes several paths: patterns, folders, lists."""

    def expand_path(
        self,
        path: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        assume_literal: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Return what paths, patterns (but with `assume_literal`) and, with `recursive`, folders stand for."""
        return list(self._expanded(path, recursive=recursive, maxdepth=maxdepth, literal=assume_literal))

    def _expanded(self, path: Any, *, recursive: bool, maxdepth: int | None, literal: bool = False) -> Found:
        one = isinstance(path, (str, os.PathLike))
        return expanded(
            [self._path(each) for each in ([path] if one else path)],
            recursive=recursive,
            maxdepth=maxdepth,
            literal=literal,
            glob=self.glob,
            find=self.find,
            look=self._look,
        )

    def _infos(self, paths: list[str]) -> Found:
        """Return what is told of some paths, nothing of what is not there."""
        return dict(zip(paths, (info or {} for info in self.at_once(self._look, paths)), strict=True))

    def _found(self, source: Any, *, recursive: bool, maxdepth: int | None) -> Found:
        """Return what is copied: without recursion no folder that a single path or pattern stands for."""
        found = self._expanded(source, recursive=recursive, maxdepth=maxdepth)
        if isinstance(source, (str, os.PathLike)) and (not recursive or maxdepth is not None):
            return {path: info for path, info in found.items() if not is_folder(info)}
        return found

    # Down.

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Download files, folders and what matches patterns, several files at once; each is whole or absent, verified.

        A `lpath` that ends in `/`, or is a folder, is where they go; two lists are pairs.

        Raises:
            NotFoundError: When one of them is not there; then nothing is downloaded.
        """
        if isinstance(lpath, list) and isinstance(rpath, list):
            paths = [self._path(path) for path in rpath]
            found = self._infos(paths)
            pairs = list(zip(paths, map(os.fspath, lpath), strict=True))
        else:
            found = self._found(rpath, recursive=recursive, maxdepth=maxdepth)
            local, into = lpath, False
            if not isinstance(lpath, list):
                local = make_path_posix(lpath)
                into = trailing_sep(local) or Path(local).is_dir()
            pairs = list(zip(found, targets(rpath, list(found), local, into=into), strict=True))
        _require(found)
        _require_apart(pairs)
        files = [(file_info(found[path]), Path(local)) for path, local in pairs if not is_folder(found[path])]
        for path, local in pairs:
            if is_folder(found[path]):
                Path(local).mkdir(parents=True, exist_ok=True)
        told = Told(callback, len(pairs), len(pairs) - len(files))
        with told, closing(self.client.download_many(files, progress_of=told.download)) as ended:
            for pair, outcome in ended:
                outcome.result()
                told.done(pair)

    def get_file(
        self, rpath: str, lpath: Any = None, callback: Callback = DEFAULT_CALLBACK, outfile: Any = None, **kwargs: Any
    ) -> None:
        """Download one file to a path, verified, or into an open file; a folder is made."""
        if outfile is not None or isfilelike(lpath):
            super().get_file(rpath, lpath, callback=callback, outfile=outfile, **kwargs)
            return
        info = self.info(rpath)
        if is_folder(info):
            Path(lpath).mkdir(parents=True, exist_ok=True)
        else:
            self._download(info, lpath, callback)

    def _download(self, info: Info, local: str, callback: Callback) -> None:
        if info["size"] is not None:
            callback.set_size(info["size"])
        self.client.download(info["name"], local, info=file_info(info), progress=callback.relative_update)

    # Up.

    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Upload files, folders and what matches local patterns, several files at once; each is whole or absent.

        A `rpath` that ends in `/`, or is a folder, is where they go; two lists are pairs.
        """
        if isinstance(lpath, list) and isinstance(rpath, list):
            pairs = list(zip(lpath, [self._path(path) for path in rpath], strict=True))
        else:
            pairs = self._local_pairs(lpath, rpath, recursive=recursive, maxdepth=maxdepth)
        _require_apart(pairs)
        files = [(Path(local), path) for local, path in pairs if not Path(local).is_dir()]
        self._make_folders((path for local, path in pairs if Path(local).is_dir()), (path for _, path in files))
        told = Told(callback, len(pairs), len(pairs) - len(files))
        mode = kwargs.get("mode", "overwrite")
        if self._intrans:
            for pair in files:
                self.put_file(*pair, mode=mode)
                told.done(pair)
            return
        uploads = self.client.upload_many(files, overwrite=mode != "create", progress_of=told.upload)
        with self.changing(), told, closing(uploads) as ended:
            for pair, outcome in ended:
                outcome.result()
                told.done(pair)

    def _local_pairs(self, source: Any, target: Any, *, recursive: bool, maxdepth: int | None) -> list[tuple[str, str]]:
        local = LocalFileSystem()
        one = isinstance(source, (str, os.PathLike))
        if one:
            source = make_path_posix(os.fspath(source))
        names = local.expand_path(source, recursive=recursive, maxdepth=maxdepth)
        if one and (not recursive or maxdepth is not None):
            names = [name for name in names if not (trailing_sep(name) or local.isdir(name))]
        if isinstance(target, list):
            return list(zip(names, map(self._path, target), strict=True))
        into = trailing_sep(os.fspath(target)) or self.isdir(target)
        return list(zip(names, targets(source, names, self._path(target), into=into), strict=True))

    def put_file(
        self,
        lpath: Any,
        rpath: Any,
        callback: Callback = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Upload one local file; a folder is made."""
        if Path(lpath).is_dir():
            self.makedirs(rpath, exist_ok=True)
            return
        path = self._file_path(rpath)
        if self._intrans:
            super().put_file(lpath, path, callback=callback, mode=mode, **kwargs)
            return
        local = Path(lpath)
        if local.is_file():
            callback.set_size(local.stat().st_size)
        with self.changing(path):
            self.client.upload(local, path, overwrite=mode != "create", progress=callback.relative_update)

    # Within the storage.

    def copy(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        on_error: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy files, folders and what matches patterns; the server does it by itself where it can.

        Args:
            path1: What is copied.
            path2: Where to; when it ends in `/`, or is a folder, into it.
            recursive: Whether folders are copied with all that is below.
            maxdepth: How many levels of it.
            on_error: `raise`, or `ignore` for what is not there any more, the default with `recursive`.
            **kwargs: Not used.
        """
        ignored = on_error == "ignore" or (on_error is None and recursive)
        self._copied(path1, path2, recursive=recursive, maxdepth=maxdepth, ignored=ignored)

    def _copied(self, path1: Any, path2: Any, *, recursive: bool, maxdepth: int | None, ignored: bool) -> Found:
        """Copy, and return what of; `ignored` says what is not there any more."""
        if isinstance(path1, list) and isinstance(path2, list):
            paths = [self._path(path) for path in path1]
            found = self._infos(paths)
            pairs = list(zip(paths, map(self._path, path2), strict=True))
        else:
            found = self._found(path1, recursive=recursive, maxdepth=maxdepth)
            if isinstance(path2, list):
                named = [self._path(path) for path in path2]
            else:
                into = trailing_sep(os.fspath(path2)) or self.isdir(path2)
                named = targets(path1, list(found), self._path(path2), into=into)
            pairs = list(zip(found, named, strict=True))
        if not ignored:
            _require(found)
        _require_apart(pairs)
        there = [(found[path], target) for path, target in pairs if found[path]]
        files = [(file_info(info), target) for info, target in there if not is_folder(info)]
        self._make_folders((target for info, target in there if is_folder(info)), (target for _, target in files))
        with self.changing(), closing(self.client.copy_many(files)) as ended:
            for _, outcome in ended:
                if not (ignored and isinstance(outcome.exception(), FileNotFoundError)):
                    outcome.result()
        return found

    # In memory.

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any) -> Any:
        """Return the bytes of a file, or those of several by path, several at once.

        Args:
            path: A path, a pattern, or a list of such.
            recursive: Whether folders stand for all files below.
            on_error: `raise`, `omit`, or `return` for the error in place of the bytes.
            **kwargs: `start` and `end`, as for `cat_file`.
        """
        one = isinstance(path, (str, os.PathLike))
        if one and not recursive and not has_magic(os.fspath(path)):
            return self.cat_file(path, **kwargs)
        found = self._expanded(path, recursive=recursive, maxdepth=None)
        if one and list(found) == [self._path(path)] and not (recursive and is_folder(found[self._path(path)])):
            return self.cat_file(path, **kwargs)
        paths = [each for each, info in found.items() if not (recursive and is_folder(info))]
        start, end = kwargs.get("start"), kwargs.get("end")
        contents = self.cat_ranges(paths, start, end, on_error="raise" if on_error == "raise" else "return")
        return {
            each: content
            for each, content in zip(paths, contents, strict=True)
            if on_error != "omit" or not isinstance(content, BaseException)
        }

    def cat_file(self, path: Any, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """Return the bytes of a file from `start` up to but without `end`, which count as those of a slice."""
        checked = self._path(path)
        first, last = slice_of(start, end, self._size_now(checked) if is_from_end(start, end) else None)
        return self.client.read(checked, start=first, end=last)

    def cat_ranges(
        self,
        paths: list[str],
        starts: int | list[int | None] | None,
        ends: int | list[int | None] | None,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Return the bytes of parts of files, in their order; many at once, near ones and those of one file together.

        Args:
            paths: The file of each.
            starts: The first byte of each, or of all.
            ends: The byte behind the last one.
            max_gap: Bytes between two parts that are rather read than asked around; None is what mostly helps.
            on_error: `return` for the error in place of the bytes, or `raise`.
            **kwargs: Not used.

        Raises:
            TypeError: When `paths` is no list.
            ValueError: When the lists are not of one length.
        """
        if not isinstance(paths, list):
            raise TypeError("paths must be a list")
        firsts = starts if isinstance(starts, list) else [starts] * len(paths)
        lasts = ends if isinstance(ends, list) else [ends] * len(paths)
        if not len(paths) == len(firsts) == len(lasts):
            raise ValueError(f"{len(paths)} paths, {len(firsts)} starts, {len(lasts)} ends")
        results: list[Any] = [None] * len(paths)
        wanted = list(zip(map(self._path, paths), firsts, lasts, strict=True))
        sizes = self._sizes_now({path for path, start, end in wanted if is_from_end(start, end)})
        ranges: list[tuple[str, int, int | None]] = []
        numbers: list[int] = []
        for number, (path, start, end) in enumerate(wanted):
            size = sizes.get(path)
            if isinstance(size, OSError):
                results[number] = size
            else:
                ranges.append((path, *slice_of(start, end, size)))
                numbers.append(number)
        for number, outcome in zip(numbers, self.client.read_ranges(ranges, max_gap=max_gap), strict=True):
            failed = outcome.exception()
            results[number] = outcome.result() if failed is None else failed
        if on_error != "return":
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        return results

    def _sizes_now(self, paths: set[str]) -> dict[str, int | OSError]:
        """Return the sizes of some files, or why one of them is not known."""

        def size_or_error(path: str) -> int | OSError:
            try:
                return self._size_now(path)
            except OSError as error:
                return error

        asked = list(paths)
        return dict(zip(asked, self.at_once(size_or_error, asked), strict=True))

    def _size_now(self, path: str) -> int:
        """Return the size of a file; a listing that is kept may be of an older one."""
        return size_to_read(entry(self.client.stat(path)))

    def pipe(self, path: Any, value: bytes | None = None, **kwargs: Any) -> None:
        """Store bytes under a name, or of several by path, several at once."""
        if isinstance(path, (str, os.PathLike)):
            self.pipe_file(path, value, **kwargs)
        elif isinstance(path, Mapping):
            self._pipe_many({self._file_path(each): content for each, content in path.items()}, **kwargs)
        else:
            raise TypeError("path must be a text, or bytes by path")

    def _pipe_many(self, contents: Mapping[str, bytes], mode: str = "overwrite", **kwargs: Any) -> None:
        if self._intrans:
            for path, content in contents.items():
                self.pipe_file(path, content, mode=mode, **kwargs)
            return
        writes = self.client.write_many(contents.items(), overwrite=mode != "create")
        with self.changing(), closing(writes) as ended:
            for _, outcome in ended:
                outcome.result()

    def _make_folders(self, folders: Iterable[str], files: Iterable[str]) -> None:
        """Make folders, and those of files.

        Even where the server makes those of a file by itself: an XRootD manager that was asked for one of them before
        would go on saying for hours that there is none.
        """
        made = {*folders, *(path.rpartition("/")[0] for path in files)} - {""}
        needless = {other for folder in made for other in above(folder)}
        with self.changing():
            self.at_once(lambda folder: self.client.make_dir(folder, parents=True), sorted(made - needless))


def above(path: str) -> list[str]:
    """Return the folders above a path, without the root."""
    names = path.split("/")
    return ["/".join(names[:count]) for count in range(2, len(names))]


def _require(found: Found) -> None:
    """Raise that something is not there.

    Raises:
        NotFoundError: When it is not.
    """
    for path, info in found.items():
        if not info:
            raise NotFoundError(f"there is no {path}", path=path, remedy="check the path")


def _require_apart(pairs: Iterable[tuple[str, str]]) -> None:
    """Raise that one would replace another.

    Raises:
        ConfigError: When two have one target.
    """
    sources: dict[str, str] = {}
    for source, target in pairs:
        other = sources.setdefault(os.fspath(target), source)
        if other != source:
            raise ConfigError(f"{other} and {source} would both go to {target}", path=target, remedy="name the targets")
