"""Snakemake storage plugin for the data of the Cherenkov Telescope Array: `storage.cta("cta://lst/…")`."""
# mypy: disable-error-code="import-untyped"
# (The interface ships no py.typed; the classes that inherit from it say so again.)
# ruff: noqa: UP045
# (Snakemake understands the types of settings only as `Optional[…]`.)

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_storage_plugins.common import Operation
from snakemake_interface_storage_plugins.io import IOCacheStorageInterface, Mtime
from snakemake_interface_storage_plugins.settings import StorageProviderSettingsBase
from snakemake_interface_storage_plugins.storage_object import (
    StorageObjectGlob,
    StorageObjectRead,
    StorageObjectTouch,
    StorageObjectWrite,
)
from snakemake_interface_storage_plugins.storage_provider import (
    ExampleQuery,
    QueryType,
    StorageProviderBase,
    StorageQueryValidationResult,
)

from snakemake_storage_plugin_cta import queries

if TYPE_CHECKING:
    from ctadata_providers import Config, FileInfo
    from ctadata_providers.uri import Address
    from snakemake_storage_plugin_cta.storage import Storage

__all__ = ["StorageObject", "StorageProvider", "StorageProviderSettings"]


def _setting(text: str) -> Any:
    return field(default=None, metadata={"help": text})


@dataclass
class StorageProviderSettings(StorageProviderSettingsBase):  # type: ignore[misc]  # the interface is untyped
    """Settings: places and files, never a secret, because Snakemake writes them on the command lines of jobs.

    What is not given comes from the profile and the environment, inside each job.
    """

    profile: Optional[str] = _setting(
        "Name of the instance: 'prod', 'dev' or a profile of ~/.config/ctadata-providers/config.toml "
        "(else CTA_PROFILE). A name in the address, as in cta://dev@lst/file, chooses another one for that address."
    )
    door_url: Optional[str] = _setting("WebDAV door, https://host:port (else CTA_DOOR_URL).")
    base_path: Optional[str] = _setting("Folder at the door below which all addresses lie (else CTA_BASE_PATH).")
    service_url: Optional[str] = _setting(
        "CTA downloadservice, https://host/services/downloadservice/, in place of a door (else CTADS_URL); its token "
        "comes from JUPYTERHUB_API_TOKEN, in each job."
    )
    certificate_service_url: Optional[str] = _setting(
        "CTA certificateservice (else CTACS_URL, else beside the downloadservice)."
    )
    hub_url: Optional[str] = _setting("JupyterHub of the services (else CTA_HUB_URL, else https://host/hub/).")
    token_file: Optional[str] = _setting("File that holds a bearer token (else BEARER_TOKEN_FILE or BEARER_TOKEN).")
    token_command: Optional[str] = _setting(
        "Program with its arguments, run without a shell, that prints a bearer token (else CTA_TOKEN_COMMAND)."
    )
    oidc_account: Optional[str] = _setting("Account of a running oidc-agent, or its issuer (else CTA_OIDC_ACCOUNT).")
    issuer: Optional[str] = _setting("OpenID Connect issuer, https://host/realms/name (else CTA_ISSUER).")
    client_id: Optional[str] = _setting("Name of the client at the issuer (else CTA_CLIENT_ID).")
    client_secret_file: Optional[str] = _setting(
        "File with the client's secret, open to nobody else (else CTA_CLIENT_SECRET_FILE or CTA_CLIENT_SECRET)."
    )
    grant_type: Optional[str] = _setting(
        "'refresh_token' goes on with the session of 'ctadata login', 'client_credentials' is for robots "
        "(else CTA_GRANT_TYPE, else refresh_token)."
    )
    scope: Optional[str] = _setting("Scopes to ask the issuer for, separated by blanks (else CTA_SCOPE).")
    audience: Optional[str] = _setting("Whom the tokens shall be for (else CTA_AUDIENCE).")
    refresh: Optional[str] = _setting(
        "'auto' refreshes tokens where they are used, 'never' uses those that another process keeps fresh "
        "(else CTA_REFRESH, else auto)."
    )
    proxy_file: Optional[str] = _setting("X.509 proxy: certificate, key and chain in one file (else X509_USER_PROXY).")
    cert_file: Optional[str] = _setting("Client certificate, PEM (else X509_USER_CERT).")
    key_file: Optional[str] = _setting("Private key of the client certificate, PEM (else X509_USER_KEY).")
    ca_path: Optional[str] = _setting(
        "Trusted CAs beside the system's: hashed folder or PEM file (else CTA_CA_PATH or X509_CERT_DIR)."
    )
    trusted_hosts: Optional[str] = _setting(
        "Hosts, separated by commas, to which a redirect may carry the credential, as *.example.org "
        "(else CTA_TRUSTED_HOSTS)."
    )
    copy_hosts: Optional[str] = _setting(
        "Hosts, separated by commas, that may be the other side of a copy from server to server, as *.example.org "
        "(else CTA_COPY_HOSTS)."
    )
    allow_http_pools: Optional[str] = _setting(
        "'true' follows redirects to plain-http pools, without credential (else CTA_ALLOW_HTTP_POOLS, else false)."
    )
    max_parallel: Optional[int] = _setting("Transfers at once (else CTA_MAX_PARALLEL, else 16, with the services 4).")
    streams: Optional[int] = _setting(
        "Connections for one large download (else CTA_STREAMS, else as many as help, up to 8)."
    )
    limit_rate: Optional[str] = _setting(
        "Most bytes a second of a process, such as 500k or 10M (else CTA_LIMIT_RATE, else no limit)."
    )
    retries: Optional[int] = _setting("How often a passing fault is tried again (else CTA_RETRIES, else 5).")
    checksum: Optional[str] = _setting(
        "'auto' verifies checksums where that costs little, 'require' fails without one, 'off' looks at the size only "
        "(else CTA_CHECKSUM)."
    )


_EVERYWHERE = ("max_parallel", "streams", "limit_rate", "retries", "checksum", "max_requests_per_second", "refresh")
"""Settings that also hold for an instance named in an address; the others, and those of the environment, would send it
somebody else's token."""

_NOBODYS = ("HOME", "XDG_CONFIG_HOME", "CTA_CA_PATH", "X509_CERT_DIR", "CTA_REFRESH")
"""Of the environment, what says where profiles and trusted CAs are, and who refreshes: no place and no credential."""


class StorageProvider(StorageProviderBase):  # type: ignore[misc]  # the interface is untyped
    """Holds one storage for each profile that the addresses of a workflow name, made at its first use."""

    def __post_init__(self) -> None:
        self._storages: dict[str | None, Storage] = {}
        self._lock = threading.Lock()
        known = {spec.name for spec in fields(StorageProviderSettings)}
        unknown = vars(self.settings or StorageProviderSettings()).keys() - known - {"keep_local", "retrieve"}
        if unknown:
            raise WorkflowError(
                f"Unknown setting of storage provider cta: {', '.join(sorted(unknown))}. Known are "
                f"{', '.join(sorted(known))}. A token is given as token_file or in the environment as BEARER_TOKEN."
            )

    @classmethod
    def example_queries(cls) -> list[ExampleQuery]:
        """Return queries that show what can be asked for."""
        return [
            ExampleQuery(
                query="cta://lst/DL1/20241114/v0.1/dl1_LST-1.Run11111.0100.h5",
                type=QueryType.ANY,
                description="A file; lst is the first folder below the base path.",
            ),
            ExampleQuery(
                query="cta://lst/DL3/20241114/dl3_{run}.fits.gz",
                type=QueryType.ANY,
                description="Wildcards. All other characters, such as '#', '%' or a blank, stand for themselves.",
            ),
            ExampleQuery(
                query="cta://dev@lst/users/alice/results/",
                type=QueryType.ANY,
                description="A folder (use directory()) of the instance that the profile 'dev' describes.",
            ),
        ]

    @classmethod
    def is_valid_query(cls, query: str) -> StorageQueryValidationResult:
        """Accept `cta://` addresses, with and without wildcards."""
        reason = queries.fault(query)
        return StorageQueryValidationResult(query=query, valid=reason is None, reason=reason)

    def use_rate_limiter(self) -> bool:
        """Decline: it would count answers that cost no request; the client limits real requests."""
        return False

    def rate_limiter_key(self, query: str, operation: Operation) -> Any:
        """Return the profile; Snakemake asks only where `use_rate_limiter` is true."""
        return queries.parse(query).name

    def default_max_requests_per_second(self) -> float:
        """Return what the client keeps to on dCache, which bans above 250."""
        return 200.0

    def storage(self, profile: str | None) -> "Storage":
        """Return the storage of a profile, None being the provider's own.

        Raises:
            ConfigError: For an unknown profile or a setting that cannot be used.
        """
        from snakemake_storage_plugin_cta.storage import Storage

        with self._lock:
            if profile not in self._storages:
                self._storages[profile] = Storage(self._config(profile))
            return self._storages[profile]

    def _config(self, profile: str | None) -> "Config":
        from ctadata_providers import Config

        given = {spec.name: getattr(self.settings, spec.name, None) for spec in fields(StorageProviderSettings)}
        if profile in (None, given["profile"] or os.environ.get("CTA_PROFILE")):
            return Config.from_env(**given)
        environ = {name: os.environ[name] for name in _NOBODYS if name in os.environ}
        return Config.from_env(environ, profile=profile, **{name: given[name] for name in _EVERYWHERE})


class StorageObject(StorageObjectRead, StorageObjectWrite, StorageObjectGlob, StorageObjectTouch):  # type: ignore[misc]
    """A file or folder at a `cta://` address.

    What it is, how large and how old is answered from listings of its folder that are a few seconds old at most.
    """

    query: str

    @property
    def _address(self) -> "Address":
        # Snakemake rewrites `query` on copies of an object.
        return queries.parse(self.query)

    @property
    def _storage(self) -> "Storage":
        provider: StorageProvider = self.provider
        return provider.storage(self._address.name)

    def _find(self) -> "FileInfo | None":
        return self._storage.listing.find(self._address.path)

    def local_suffix(self) -> str:
        """Return the place of the local copy, unique for each file of each profile."""
        return queries.local_suffix(self.query)

    def get_inventory_parent(self) -> str:
        """Return the key under which the inventory of the folder is noted."""
        return self._cache_key(self._folder)

    @property
    def _folder(self) -> str:
        return self._address.path.rpartition("/")[0] or "/"

    def _cache_key(self, path: str) -> str:
        return str(self.provider.local_prefix / queries.local_suffix(queries.of_path(path, self._address.name)))

    async def inventory(self, cache: IOCacheStorageInterface) -> None:
        """Tell the cache all of the folder that this object lies in, and that nothing else is there.

        Raises:
            WorkflowError: When the server did not answer.
        """
        from ctadata_providers import CtaError, PermissionDeniedError

        parent = self.get_inventory_parent()
        if parent in cache.exists_in_storage.has_inventory:
            return
        try:
            self._find()  # notices whether the folder may be listed at all
            entries = self._storage.listing.entries(self._folder)
        except PermissionDeniedError:
            # The folder may not be listed; Snakemake goes on to ask for the object alone.
            return
        except CtaError as error:
            raise WorkflowError(f"Failed to list the folder of {self.print_query}", error) from error
        for info in entries.values():
            key = self._cache_key(info.path)
            cache.exists_in_storage[key] = True
            cache.mtime[key] = Mtime(storage=_mtime(info))
            cache.size[key] = _size(info)
        cache.exists_in_storage.has_inventory.add(parent)

    def exists(self) -> bool:
        """Tell whether the file or folder exists in the storage."""
        return self._find() is not None

    def mtime(self) -> float:
        """Return the time of the last change in epoch seconds, 0 where the server keeps none."""
        info = self._find()
        return _mtime(info) if info else self._unstored().st_mtime

    def size(self) -> int:
        """Return the size in bytes, 0 for a folder."""
        info = self._find()
        return _size(info) if info else self._unstored().st_size

    def local_footprint(self) -> int:
        """Return the bytes that a local copy takes: for a folder the sum over all files in it."""
        info = self._find()
        if info is None or not info.is_dir:
            return self.size()
        return sum(_size(entry) for entry in self._storage.walk(info.path))

    def _unstored(self) -> os.stat_result:
        """Describe an output that is not stored yet by its local copy: `ensure()` asks before it is stored.

        Raises:
            NotFoundError: When there is no local copy either.
        """
        try:
            local: Path = self.local_path()
            return local.stat()
        except FileNotFoundError as error:
            from ctadata_providers import NotFoundError

            raise NotFoundError(f"{self.query} does not exist", path=self._address.path) from error

    def retrieve_object(self) -> None:
        """Bring the file or folder to the local path, whole or not at all."""
        self._storage.retrieve(self._address.path, self.local_path())

    def store_object(self) -> None:
        """Send the file or folder at the local path; missing parents are made."""
        self._storage.store(self.local_path(), self._address.path)

    def remove(self) -> None:
        """Remove the file, or the folder with all in it."""
        self._storage.remove(self._address.path)

    def touch(self) -> None:
        """Give the file or folder the present time; an absent one becomes an empty file.

        Raises:
            UnsupportedError: For a file above 1 MiB, because it is downloaded and uploaded again.
        """
        self._storage.touch(self._address.path)

    def list_candidate_matches(self) -> Iterable[str]:
        """Return the queries of all files and folders that the pattern may match.

        A wildcard also matches `/`, so that every folder below the last constant one is listed.

        Raises:
            WorkflowError: When the server did not answer.
        """
        from ctadata_providers import CtaError

        folder, start = queries.constant_folder(self.query)
        provider: StorageProvider = self.provider
        try:
            address = queries.parse(folder)
            found = provider.storage(address.name).walk(address.path, start)
            return list(queries.below(folder, (info.path for info in found)))
        except CtaError as error:
            raise WorkflowError(f"Failed to list what matches {self.print_query}", error) from error

    def cleanup(self) -> None:
        """Do nothing: transfers remove what they need, and Snakemake removes the local copy."""


def _mtime(info: "FileInfo") -> float:
    # 0 is older than any output: a server that keeps no times causes no reruns.
    return info.mtime or 0.0


def _size(info: "FileInfo") -> int:
    return 0 if info.is_dir else info.size or 0
