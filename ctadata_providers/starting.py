"""The parts of the front that begin a transfer and return at once, for who has an event loop of its own."""

import os
from functools import partial
from pathlib import Path

from ctadata_providers import transfer
from ctadata_providers.backends import FileInfo, UrlBackend
from ctadata_providers.connection import Connection
from ctadata_providers.errors import IsADirError, UnsupportedError
from ctadata_providers.mirroring import local_path
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import spawn
from ctadata_providers.transfer import Progress, TransferResult


class Starting(Connection):
    """Transfers behind futures, and the URLs behind paths."""

    def begin_download(
        self, info: FileInfo, local: Path | str, *, overwrite: bool = True, progress: Progress | None = None
    ) -> Future[TransferResult]:
        """Begin to download a file of which a listing or `stat` told; return at once.

        Of all that are begun so, by whatever thread, `max_parallel` run at once. The future can be cancelled; it ends
        with `CancelledError` when nothing partial is left. Its errors are those of `download`.
        """
        context, target = self._transfers, local_file(local)
        begin = partial(transfer.begin_download, context, info, target, overwrite=overwrite, progress=progress)
        return context.turns.begin(begin, limit=context.max_parallel)

    def begin_upload(
        self, local: Path | str, remote: str, *, overwrite: bool = True, progress: Progress | None = None
    ) -> Future[TransferResult]:
        """Begin to upload a file, else as `begin_download`; `stored` of the result is what stands there then."""
        context, path = self._transfers, self._path(remote)
        task = partial(transfer.upload, context, local_path(local), path, overwrite=overwrite, progress=progress)
        return context.turns.begin(lambda: spawn(task()), limit=context.max_parallel)

    def url(self, path: str) -> str:
        """Return the URL at which the server has a file or folder, for programs that read it there with a credential.

        Raises:
            UnsupportedError: When the backend has no such URLs.
        """
        backend = self._backend
        if not isinstance(backend, UrlBackend):
            raise UnsupportedError(f"{path} has no URL at this backend", path=path, remedy="download it")
        return backend.url(self._path(path))


def local_file(local: Path | str) -> Path:
    """Return the local path of a file.

    Raises:
        IsADirError: When it is written as a folder.
    """
    if str(local).endswith(os.sep):
        raise IsADirError(
            f"cannot write {local}: it names a folder", path=local, remedy="give the name of a file in it"
        )
    return local_path(local)
