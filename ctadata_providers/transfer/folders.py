"""Remote folders: made with their parents, looked for."""

from ctadata_providers.backends import Backend, FileInfo
from ctadata_providers.errors import AlreadyExistsError, NotADirError, NotFoundError
from ctadata_providers.uri import split


def make_dirs(backend: Backend, path: str) -> None:
    """Make a folder and its missing parents; one that exists is right.

    Raises:
        NotADirError: When a part of the path is a file.
    """
    missing = []
    while path != "/":
        try:
            if not backend.stat(path).is_dir:
                raise NotADirError(f"{path} is a file, so no folder can be made there", path=path)
            break
        except NotFoundError:
            missing.append(path)
            path = split(path)[0]
    for folder in reversed(missing):
        try:
            backend.make_dir(folder)
        except AlreadyExistsError:
            continue  # another process was faster


def stat_or_none(backend: Backend, path: str) -> FileInfo | None:
    """Tell about a file or folder, None when there is none."""
    try:
        return backend.stat(path)
    except NotFoundError:
        return None


def require_folder(backend: Backend, folder: str, attempt: str) -> None:
    """Make sure that a folder exists: some servers make it silently, others answer with anything.

    Raises:
        NotFoundError: When it does not; the message begins with the attempt.
        NotADirError: When it is a file.
    """
    info = stat_or_none(backend, folder)
    if info is None:
        raise NotFoundError(f"{attempt}: {folder} does not exist", path=folder, remedy="make it with its parents")
    if not info.is_dir:
        raise NotADirError(f"{attempt}: {folder} is a file", path=folder, remedy="choose another place")
