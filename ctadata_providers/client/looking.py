"""What the client does to look at files and folders without copying them: what is there, bytes of a file, a tree."""

from collections.abc import Iterable, Iterator

from ctadata_providers import transfer, uri
from ctadata_providers.backends import ClockBackend, FileInfo, UrlBackend, browser_url
from ctadata_providers.client.connection import Connection
from ctadata_providers.client.globbing import find
from ctadata_providers.client.lookup import look_up
from ctadata_providers.errors import ConfigError, NotADirError, NotFoundError, UnsupportedError
from ctadata_providers.patterns import Selection
from ctadata_providers.session.request import Sink
from ctadata_providers.session.tasks import run
from ctadata_providers.transfer import Nested, OnUnlisted, Streamed, Usage


class Looking(Connection):
    """A storage that one looks into."""

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        """Give the entries of a folder as they arrive, in the server's order, from one listing.

        Raises:
            NotFoundError: When it does not exist.
            NotADirError: When it is a file.
            TransientError: When the listing breaks off: what was given is not all.
        """
        folder = self._path(path)
        return (info for info in self._backend.list_dir(folder) if not transfer.is_part(info.name))

    def walk(
        self,
        path: str,
        *,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        on_error: OnUnlisted | None = None,
    ) -> Iterator[FileInfo]:
        """Give everything below a folder as listings arrive, a folder before what is in it.

        Several folders are listed at once; the order does not depend on that.

        Args:
            path: The folder.
            include: Patterns of what is taken, with the folders on the way; none takes all. A pattern without `/`
                matches a name at any depth, one with `/` the path from the folder, one that ends in `/` folders only;
                what matches a folder covers all below it (`ctadata_providers.patterns`).
            exclude: Patterns of what is left out, also of what is included; an excluded folder is not listed.
            on_error: Called with the path and the error of each folder that cannot be listed, which is passed over.

        Raises:
            NotFoundError: When it does not exist, without `on_error`.
            NotADirError: When it is a file, without `on_error`.
            ConfigError: When a pattern cannot be used.
        """
        selection = Selection.of(include, exclude)
        return transfer.walk(self._backend, self._path(path), selection=selection, on_error=on_error)

    def glob(self, pattern: str, *, exclude: Iterable[str] = (), hidden: bool = False) -> Iterator[FileInfo]:
        """Give what matches a pattern: `*`, `?` and `[..]` within a name, `**` for any number of folders.

        Names that begin with a dot match only a pattern that does, but with `hidden`. In a folder matches come in the
        order of their names. A path that exists as it is written is no pattern; to be sure, write a literal `*`, `?` or
        `[` as `[*]`, `[?]`, `[[]`.

        Args:
            pattern: The pattern; one that ends in `/` matches folders only.
            exclude: Patterns, as for `walk`, of what is left out below the last folder before the first magic element.
            hidden: Whether `*`, `?`, `[..]` and `**` also stand for a dot at the beginning of a name.

        Raises:
            NotFoundError: When a folder before the first magic element does not exist.
        """
        path, selection = self._path(pattern), Selection.of(exclude=exclude)
        path += "/" if uri.parse(pattern).is_folder else ""
        return find(self._backend, path, selection=selection, hidden=hidden)

    def glob_many(self, patterns: Iterable[str]) -> dict[str, list[FileInfo]]:
        """Return what is there of many paths and patterns, by what was given; what is missing has an empty list.

        A folder in which several are looked for is listed once. What a pattern means `glob` tells; a path or pattern
        that ends in `/` means folders only.

        Raises:
            NotADirError: When the folder of a pattern is a file.
        """
        asked = {text: self._path(text) + ("/" if uri.parse(text).is_folder else "") for text in patterns}
        found = look_up(self._backend, asked.values())
        return {text: found[path] for text, path in asked.items()}

    def stat(self, path: str) -> FileInfo:
        """Tell about one file or folder.

        Raises:
            NotFoundError: When it does not exist.
            NotADirError: When the path ends in `/` and it is a file.
        """
        address = uri.parse(path)
        info = self._backend.stat(self._path(path))
        if address.is_folder and not info.is_dir:
            raise NotADirError(f"{info.path} is a file, not a folder", path=info.path, remedy="write it without '/'")
        return info

    def exists(self, path: str) -> bool:
        """Tell whether there is such a file or folder; every other answer than yes or no is an error."""
        try:
            self.stat(path)
        except (NotFoundError, NotADirError):
            return False
        return True

    def stream(
        self,
        remote: str,
        sink: Sink,
        *,
        start: int = 0,
        end: int | None = None,
        info: FileInfo | None = None,
        if_match: str | None = None,
    ) -> Streamed:
        """Give the bytes of a file, or of a part of it, to a sink as they come; what breaks is gone on with.

        Nothing is kept on a disk and nothing in memory. That the bytes are right is known at the end only.

        Args:
            remote: The file.
            sink: Takes the bytes, in another thread, which moves the bytes of all transfers of the process: while it
                blocks, they wait. One that may have to wait has a method `room` instead, which returns a future that is
                done once it takes more, or None. What it raises ends the reading, and is raised.
            start: The first byte.
            end: The byte after the last; None, or more than there is, for all that follow.
            info: What a listing told of the file; saves a request.
            if_match: The entity tag that the file must have, as that of a part that was read before.

        Raises:
            NotFoundError: When there is no such file.
            IsADirError: When it is a folder.
            IntegrityError: When the file has changed, or its size or (of a whole file) checksum are not what the server
                said.
        """
        path = self._path(remote)
        told = self._backend.stat(path) if info is None else info
        if told.path != path:
            raise ConfigError(f"info tells of {told.path}, not of {remote}", path=remote)
        return run(transfer.stream(self._transfers, told, sink, start=start, end=end, if_match=if_match))

    def tree(
        self,
        path: str,
        *,
        depth: int | None = None,
        exclude: Iterable[str] = (),
        only_folders: bool = False,
        on_error: OnUnlisted | None = None,
    ) -> Iterator[Nested]:
        """Give everything below a folder by names, what is in a folder right behind it, as one draws a tree.

        `walk` does with less memory where the order does not matter.

        Args:
            path: The folder.
            depth: How deep; None for all, 1 for what is in the folder itself.
            exclude: Patterns, as for `walk`, of what is left out.
            only_folders: Leave out files.
            on_error: Called with the path and the error of each folder that cannot be listed, which is passed over.

        Raises:
            NotFoundError: When it does not exist, without `on_error`.
            NotADirError: When it is a file, without `on_error`.
        """
        return transfer.nested(
            self._backend,
            self._path(path),
            depth=depth,
            selection=Selection.of(exclude=exclude),
            on_file=(lambda info: None) if only_folders else None,
            on_error=on_error,
        )

    def usage(self, path: str, *, exclude: Iterable[str] = (), on_error: OnUnlisted | None = None) -> Iterator[Usage]:
        """Give the bytes and the numbers of files of each folder of a tree, the deepest first, the tree itself at last.

        Args:
            path: The folder, or a file.
            exclude: Patterns, as for `walk`, of what is not counted.
            on_error: Called with the path and the error of each folder that cannot be listed, which is not in the sums.

        Raises:
            NotFoundError: When it does not exist.
        """
        selection = Selection.of(exclude=exclude)
        told = self._backend.stat(self._path(path))
        return transfer.usage(self._backend, told, selection=selection, on_error=on_error)

    def url(self, path: str) -> str:
        """Return the URL at which the server has a file or folder, for programs that read it there with a credential.

        Raises:
            UnsupportedError: When the backend has no such URLs.
        """
        backend = self._backend
        if not isinstance(backend, UrlBackend):
            raise UnsupportedError(f"{path} has no URL at this backend", path=path, remedy="download it")
        return backend.url(self._path(path))

    def browser_url(self, path: str) -> str:
        """Return where a browser, with a credential of its own, shows a folder (a path that ends in `/`) or has a file.

        The settings alone tell that: nothing is asked, and whether it is there is not known.

        Raises:
            UnsupportedError: When the backend has no such places.
        """
        return browser_url(self.config, self._path(path), folder=uri.parse(path).is_folder)

    def clock_ahead(self) -> float | None:
        """Tell how many seconds the server's clock was ahead of ours at its last answer; None when it never told."""
        return self._backend.clock_ahead() if isinstance(self._backend, ClockBackend) else None
