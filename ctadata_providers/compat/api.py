"""The functions of ctadata as methods of its `APIClient`, over the transfer core."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Unpack, cast

from ctadata_providers import Config, CtaClient, uri
from ctadata_providers.compat.entries import Entry, list_entries, path_of
from ctadata_providers.compat.errors import (
    CertificateError,
    ClientSecretNotFound,
    DirectApiError,
    EnvironmentError,  # noqa: A004 (ctadata's name)
    StorageException,
    TokenError,
    TokenExpiredError,
)
from ctadata_providers.compat.places import file_target, target_of, tree_target
from ctadata_providers.compat.settings import Overrides, config_of, services_config
from ctadata_providers.errors import NotFoundError

if TYPE_CHECKING:
    from ctadata_providers.certificates import CertificateKey
    from ctadata_providers.webdav4_client.client import Webdav4Client

__all__ = [
    "APIClient",
    "CertificateError",
    "ClientSecretNotFound",
    "DirectApiError",
    "EnvironmentError",
    "StorageException",
    "TokenError",
    "TokenExpiredError",
    "api_client",
]


class APIClient:
    """The functions of ctadata, with its names, arguments and results.

    Each call reads profile and environment anew, and takes the keyword arguments of `Overrides`, which come before the
    attributes of the same names. These may be set on a client, and as with ctadata on the class, for all clients. All
    raise the errors of `ctadata_providers.errors`.

    Args:
        dev_instance: Whether to use the door of the profile `dev`.

    Attributes:
        token: As the keyword argument; None is not given. So are `downloadservice`, `certificateservice`, `chunk_size`.
    """

    direct: ClassVar[bool] = False
    """Whether a door is meant in any case."""
    token: str | None = None
    downloadservice: str | None = None
    certificateservice: str | None = None
    chunk_size: int | None = None

    def __init__(self, dev_instance: bool = False) -> None:
        self.dev_instance = dev_instance

    def list_dir(
        self, path: str, recursive: bool = False, n_threads: int = 2, **overrides: Unpack[Overrides]
    ) -> list[Entry]:
        """Return what is in a folder; of a file the file itself.

        From the services the folder itself comes first, and an entry is as a text its path from the root of the
        storage; from a door it is its name. Either can be handed to `fetch_and_save_file`.

        Args:
            path: The folder.
            recursive: Whether to tell all that is below it.
            n_threads: Taken and not needed: folders are listed several at once.
            **overrides: See `Overrides`.

        Raises:
            NotFoundError: When it does not exist.
        """
        with self._client(overrides) as client:
            return list_entries(client, path_of(client, path), recursive=recursive)

    def fetch_and_save_file(
        self, path: str, save_to_fn: str | os.PathLike[str] | None = None, **overrides: Unpack[Overrides]
    ) -> int:
        """Download a file, and return its size in bytes; what is written is whole, or as it was before.

        Args:
            path: The file: a path, or an entry of a listing or its `url`.
            save_to_fn: Where to; by default under its last name in the current folder.
            **overrides: See `Overrides`.

        Raises:
            NotFoundError: When it does not exist.
            IsADirError: When it is a folder.
        """
        with self._client(overrides) as client:
            return _fetch(client, path_of(client, path), save_to_fn)

    def fetch_and_save_file_or_dir(
        self, path: str, recursive: bool = False, **overrides: Unpack[Overrides]
    ) -> int | None:
        """Download a file and return its size, or with `recursive` a folder with all that is below it.

        A folder that comes from the services lands with its path from the root of the storage (`lst/some-data-dir`) in
        the current folder, one from a door under its last name (`some-data-dir`).

        Raises:
            NotFoundError: When it does not exist.
            IsADirError: When it is a folder, without `recursive`.
        """
        with self._client(overrides) as client:
            source = path_of(client, path)
            if not (recursive and client.stat(source).is_dir):
                return _fetch(client, source, None)
            client.download_tree(source, tree_target(client, source))
            return None

    def upload_file(
        self, local_fn: str | os.PathLike[str], path: str, **overrides: Unpack[Overrides]
    ) -> dict[str, str | int]:
        """Upload a file; missing folders are made.

        Args:
            local_fn: The file.
            path: Where to; a path that ends in `/` is completed by the name of the file. With the services it is one in
                your own folder, unless it begins with `lst/users/NAME/` or `cta/users/NAME/`. At a door it is one from
                the root if it begins with `/` or with a folder that is there; else one in your own folder, and where
                that cannot be known one from the root.
            **overrides: See `Overrides`.

        Returns:
            `path`, where it is now, from the root of the storage and without the first slash; `status`, `uploaded`;
            `total_written`, its size in bytes.
        """
        with self._client(overrides) as client:
            target = file_target(client, local_fn, path)
            result = client.upload(os.fspath(local_fn), target)
        return {"path": uri.parse(target).path[1:], "status": "uploaded", "total_written": result.size}

    def upload_dir(self, local_dir: str | os.PathLike[str], path: str, **overrides: Unpack[Overrides]) -> None:
        """Upload all that is in a local folder into a folder, which is made.

        The path of that is understood as in `upload_file`.

        Raises:
            NotFoundError: When there is no such local folder.
            NotADirError: When it is a file.
        """
        with self._client(overrides) as client:
            client.upload_tree(os.fspath(local_dir), target_of(client, path))

    def upload_personal_certificate(
        self,
        certificate_file_path: str | os.PathLike[str],
        certificate_key: str,
        user: str | None = None,
        **overrides: Unpack[Overrides],
    ) -> dict[str, str | None]:
        """Give a proxy to the certificateservice, after a look at it here.

        Args:
            certificate_file_path: The proxy, a PEM file with its key.
            certificate_key: What it is for: `lst`, `cta`, or `arc` for all other paths.
            user: Whose it is, if not yours.
            **overrides: See `Overrides`.

        Returns:
            `message` and `validity`, as the service tells them.

        Raises:
            FileNotFoundError: When there is no such file.
            CredentialError: When it cannot be given away, or the service does not take it.
        """
        from ctadata_providers.certificates import upload_personal

        path = _present(certificate_file_path)
        stored = upload_personal(path, _key(certificate_key), user=user, config=self._services_config(overrides))
        return {"message": stored.message, "validity": stored.validity}

    def upload_certificate(
        self, path: str | os.PathLike[str], key: str = "cta", **overrides: Unpack[Overrides]
    ) -> dict[str, str | None]:
        """Do what `upload_personal_certificate` does, by the name that ctadata's documentation has for it."""
        return self.upload_personal_certificate(path, key, **overrides)

    def upload_shared_certificate(
        self, certificate_file_path: str | os.PathLike[str], **overrides: Unpack[Overrides]
    ) -> dict[str, str | bool]:
        """Give a robot's proxy to the certificateservice, for users without one of their own; for administrators.

        Returns:
            `message` as the service tells it, and `certificateUploaded`, true.

        Raises:
            FileNotFoundError: When there is no such file.
            CredentialError: When it cannot be given away, or the service does not take it.
            PermissionDeniedError: When you may not do that.
        """
        from ctadata_providers.certificates import upload_shared

        stored = upload_shared(_present(certificate_file_path), config=self._services_config(overrides))
        return {"certificateUploaded": True, "message": stored.message}

    def webdav4_client(self, **overrides: Unpack[Overrides]) -> "Webdav4Client":
        """Return a `webdav4.client.Client` for the service's `/webdav`, or for a door.

        Raises:
            ConfigError: When webdav4 is not installed.
        """
        from ctadata_providers.webdav4_client import webdav4_client

        return webdav4_client(self._config(overrides))

    def start_agent_daemon(self, **overrides: Unpack[Overrides]) -> None:
        """Keep the token file of ctadata fresh by a process in the background, after a login if there is none yet.

        For another door than those of `prod` and `dev` it is the file of WLCG token discovery. Other than with ctadata
        the calling process goes on.
        """
        from ctadata_providers.compat.agent import start

        start(config_of(self._given(overrides), direct=True))

    def _client(self, overrides: Overrides) -> CtaClient:
        return CtaClient(self._config(overrides))

    def _config(self, overrides: Overrides) -> Config:
        return config_of(self._given(overrides), direct=self.direct)

    def _services_config(self, overrides: Overrides) -> Config:
        given = self._given(overrides)
        if self.direct:
            given["token"] = overrides.get("token")  # the attribute is for the door
        return services_config(given)

    def _given(self, overrides: Mapping[str, Any]) -> Overrides:
        """Return what a call says over what the attributes say.

        Raises:
            TypeError: For another keyword argument.
        """
        for name in overrides.keys() - Overrides.__annotations__.keys():
            raise TypeError(f"unexpected keyword argument {name!r}")
        own = {name: getattr(self, name) for name in Overrides.__annotations__}
        given = {name: value for name, value in overrides.items() if value is not None}
        merged: Overrides = {**own, **given}  # type: ignore[typeddict-item]  # the names are those
        return merged


def _fetch(client: CtaClient, source: str, target: str | os.PathLike[str] | None) -> int:
    info = client.stat(source)
    local = (info.name or ".") if target is None else os.fspath(target)
    return client.download(source, local, info=info).size


def _present(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that is there.

    Raises:
        NotFoundError: When it is not: the checks of a proxy would tell that as a missing credential.
    """
    found = Path(path).expanduser()
    if not found.exists():
        raise NotFoundError(f"there is no certificate {found}", path=found, remedy="check the name")
    return found


def _key(text: str) -> "CertificateKey":
    """Return the key of a certificate; what is none is refused by who uses it."""
    return cast("CertificateKey", text)


api_client = APIClient()
