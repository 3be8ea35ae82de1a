"""Renaming within a storage."""

from ctadata_providers.backends import Backend, FileInfo, RenameBackend
from ctadata_providers.errors import AlreadyExistsError, IsADirError, StorageError, UnsupportedError
from ctadata_providers.transfer.folders import require_folder, stat_or_none
from ctadata_providers.uri import split


def move(backend: Backend, info: FileInfo, target: str, *, overwrite: bool) -> None:
    """Rename a file or folder; what is at the target is looked at first, for dCache replaces whole folders.

    Args:
        backend: Where.
        info: What is renamed.
        target: Its new path.
        overwrite: Whether a file there may be replaced, by a file.

    Raises:
        NotFoundError: When the target's folder does not exist.
        AlreadyExistsError: When the target exists and may not be overwritten.
        IsADirError: When the target is a folder.
        UnsupportedError: When the server cannot rename to that name.
    """
    source = info.path
    if target == source or target.startswith(source + "/") or source == "/":
        raise StorageError(
            f"cannot move {source} to {target}: that is itself or inside it", path=source, remedy="name another target"
        )
    existing = stat_or_none(backend, target)
    if existing is not None and existing.is_dir:
        raise IsADirError(
            f"cannot move {source} to {target}: it is a folder", path=target, remedy="give the new name in it"
        )
    if existing is not None and (not overwrite or info.is_dir):
        raise AlreadyExistsError(
            f"cannot move {source} to {target}: it exists", path=target, remedy="remove it first, or allow overwriting"
        )
    require_folder(backend, split(target)[0], f"cannot move {source} to {target}")
    if not isinstance(backend, RenameBackend):
        raise UnsupportedError(
            f"cannot rename {source} to {target}: the downloadservice renames nothing",
            path=target,
            remedy="rename it at the door: 'ctadata --backend webdav mv' (door_url), with a token or proxy for that",
        )
    if not backend.can_rename(target):
        raise UnsupportedError(
            f"the server cannot rename {source} to {target}",
            path=target,
            remedy="download, upload, and remove the old one",
        )
    backend.rename(source, target, overwrite=existing is not None, is_dir=info.is_dir)
