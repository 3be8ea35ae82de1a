"""What the client does to look at files and folders without copying them: bytes of a file, a tree, its sizes."""

from collections.abc import Iterable, Iterator

from ctadata_providers.backends import ClockBackend, FileInfo, UrlBackend
from ctadata_providers.connection import Connection
from ctadata_providers.errors import ConfigError, UnsupportedError
from ctadata_providers.patterns import Selection
from ctadata_providers.session.request import Sink
from ctadata_providers.session.tasks import run
from ctadata_providers.transfer import Nested, OnUnlisted, Streamed, Usage, nested, stream, usage


class Looking(Connection):
    """A storage that one looks into."""

    def clock_ahead(self) -> float | None:
        """Tell how many seconds the server's clock was ahead of ours at its last answer; None when it never told."""
        return self._backend.clock_ahead() if isinstance(self._backend, ClockBackend) else None

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
        return run(stream(self._transfers, told, sink, start=start, end=end, if_match=if_match))

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
        return nested(
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
        return usage(self._backend, self._backend.stat(self._path(path)), selection=selection, on_error=on_error)

    def url(self, path: str) -> str:
        """Return the URL at which the server has a file or folder, for programs that read it there with a credential.

        Raises:
            UnsupportedError: When the backend has no such URLs.
        """
        backend = self._backend
        if not isinstance(backend, UrlBackend):
            raise UnsupportedError(f"{path} has no URL at this backend", path=path, remedy="download it")
        return backend.url(self._path(path))
