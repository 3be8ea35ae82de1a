"""What can go wrong, by meaning.

::

    CtaError
    ├── ConfigError (ValueError)            a setting or an address that cannot be used
    ├── CredentialError                     no, a malformed, an expired or a refused credential
    └── StorageError (OSError)
        ├── NotFoundError (FileNotFoundError)
        ├── AlreadyExistsError (FileExistsError)
        ├── IsADirError (IsADirectoryError)  a folder where a file was meant
        ├── NotADirError (NotADirectoryError)  a file where a folder was meant
        ├── PermissionDeniedError (PermissionError)
        ├── UnsupportedError                what this server cannot do
        ├── IntegrityError                  size or checksum differ
        ├── QuotaError                      no space left, here or there
        └── TransientError                  may pass: the only one that is retried
"""

from pathlib import PurePath


class CtaError(Exception):
    """Base of every error of this package.

    Args:
        message: What was tried, on which path, and what came back.
        path: The remote path, URL or local file that it is about.
        remedy: What the user can do.
    """

    def __init__(self, message: str = "", *, path: str | PurePath | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = None if path is None else str(path)
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class ConfigError(CtaError, ValueError):
    """A setting or an address cannot be used."""


class CredentialError(CtaError):
    """A credential is missing, malformed, expired or refused."""


class StorageError(CtaError, OSError):
    """An operation on local or remote storage failed.

    Args:
        message: What was tried, on which path, and what came back.
        path: The remote path or local file that it is about.
        remedy: What the user can do.
        status: The HTTP status that came back, if any.
    """

    def __init__(
        self,
        message: str = "",
        *,
        path: str | PurePath | None = None,
        remedy: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, path=path, remedy=remedy)
        self.status = status


class NotFoundError(StorageError, FileNotFoundError):
    """The file or folder does not exist."""


class AlreadyExistsError(StorageError, FileExistsError):
    """The target exists and may not be overwritten."""


class IsADirError(StorageError, IsADirectoryError):
    """A folder stands where a file was meant."""


class NotADirError(StorageError, NotADirectoryError):
    """A file stands where a folder was meant."""


class PermissionDeniedError(StorageError, PermissionError):
    """The credential is good but does not allow this."""


class UnsupportedError(StorageError):
    """The server or the backend cannot do this."""


class IntegrityError(StorageError):
    """Size or checksum are not what they should be."""


class QuotaError(StorageError):
    """No space is left, on the server or on the local disk."""


class TransientError(StorageError):
    """A fault that may pass; the only error that is retried.

    Args:
        message: What was tried, on which path, and what came back.
        path: The remote path or local file that it is about.
        remedy: What the user can do.
        status: The HTTP status that came back, if any.
        retry_after: Seconds that the server asked to wait, if it did.
    """

    def __init__(
        self,
        message: str = "",
        *,
        path: str | PurePath | None = None,
        remedy: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, path=path, remedy=remedy, status=status)
        self.retry_after = retry_after
