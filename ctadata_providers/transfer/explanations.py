"""What is told of a failed upload: the name that the user knows, and why."""

import errno
from copy import copy
from typing import TypeVar
from urllib.parse import quote

from ctadata_providers.errors import (
    AlreadyExistsError,
    CtaError,
    IsADirError,
    NotADirError,
    NotFoundError,
    StorageError,
    TransientError,
)
from ctadata_providers.transfer.names import MAX_NAME_BYTES
from ctadata_providers.uri import split

Error = TypeVar("Error", bound=CtaError)


def named(path: str, temporary: str, error: Error) -> Error:
    """Return the error with the name that the user knows instead of the temporary one."""
    told = copy(error)
    told.message = error.message.replace(quote(temporary), quote(path)).replace(temporary, path)
    told.args = (told.message,)
    told.path = path
    return told


def not_yet(path: str, error: NotFoundError) -> TransientError:
    """Return the transient error for a file that was stored and is not there (dCache issue 5285)."""
    return TransientError(
        f"the server has stored {path}, and says that it is not there: {error.message}",
        path=path,
        remedy="try again later",
        status=error.status,
    )


def has_long_name(path: str) -> bool:
    """Tell whether a name is longer than file systems take."""
    return len(_name(path)) > MAX_NAME_BYTES


def too_long(path: str, error: CtaError) -> StorageError:
    """Return the error for a name that the server does not take because of its length."""
    explained = StorageError(
        f"the name of {path} has {len(_name(path))} bytes, and the server does not take it: {error.message}",
        path=path,
        remedy=f"use a name of at most {MAX_NAME_BYTES} bytes",
    )
    explained.errno = errno.ENAMETOOLONG
    return explained


def below_file(path: str, file: str) -> NotADirError:
    """Return the error for a target whose folder is a file."""
    return NotADirError(f"cannot upload {path}: {file} is a file", path=path, remedy="choose another folder")


def is_folder(path: str) -> IsADirError:
    """Return the error for a target that is a folder."""
    return IsADirError(f"cannot upload to {path}: it is a folder", path=path, remedy="give the name of a file in it")


def _name(path: str) -> bytes:
    return split(path)[1].encode(errors="surrogateescape")


def came_to_exist(path: str, error: CtaError) -> CtaError:
    """Return the error for a name that was free, and is taken after an attempt that failed."""
    return AlreadyExistsError(
        f"{error.message}; it was free before, so that it is another's or a part that an attempt before has left",
        path=path,
        remedy="compare it with the local file, and remove it if it is not whole",
    )
