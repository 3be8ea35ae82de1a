"""What a file system stands on: its settings, its client, its paths, and what of it travels to other processes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fsspec.spec import AbstractFileSystem, make_instance
from fsspec.utils import stringify_path

from ctadata_providers import uri
from ctadata_providers.client import CtaClient
from ctadata_providers.config import Config
from ctadata_providers.config.parsers import count, flag, positive
from ctadata_providers.errors import ConfigError, IsADirError
from ctadata_providers.filesystem.clients import fingerprint, number_of, shared_client
from ctadata_providers.filesystem.entries import NotOfferedError
from ctadata_providers.filesystem.instances import OPTIONS, PRIVATE, SETTINGS, Instances

_PROTOCOL = "cta"


class Connected(AbstractFileSystem, metaclass=Instances):  # type: ignore[misc]  # fsspec has no types
    """A file system under some settings; construction does no I/O."""

    protocol = _PROTOCOL
    root_marker = "/"

    def __init__(
        self,
        config: Config | Mapping[str, Any] | None = None,
        *,
        client: CtaClient | None = None,
        use_listings_cache: bool | str = False,
        listings_expiry_time: float | str | None = None,
        max_paths: int | str | None = None,
        block_size: int | str | None = None,
        cache_type: str | None = None,
        cache_options: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        expiry = None if listings_expiry_time is None else positive("listings_expiry_time", listings_expiry_time)
        super().__init__(
            use_listings_cache=flag("use_listings_cache", use_listings_cache),
            listings_expiry_time=expiry,
            max_paths=None if max_paths is None else count("max_paths", max_paths),
        )
        unknown = sorted(settings.keys() - SETTINGS - OPTIONS)
        if unknown:
            raise ConfigError(
                f"unknown setting {unknown[0]!r}", remedy=f"known are {', '.join(sorted(SETTINGS | OPTIONS))}"
            )
        self._config = Config.from_mapping(config) if isinstance(config, Mapping) else config
        self._settings = {name: value for name, value in settings.items() if name in SETTINGS and value is not None}
        self._given_client = self._client = client
        block = None if block_size is None else count("block_size", block_size)
        reading = {"block_size": block, "cache_type": cache_type, "cache_options": cache_options}
        self._changes = 0
        """Of which this file system knows; what was listed before one may be of before it."""
        self._reading = {name: value for name, value in reading.items() if value is not None}

    def keep_private(self, options: Mapping[str, Any]) -> None:
        """Take options that fsspec must not keep; they tell this file system from others of the same options."""
        given = dict(options)
        self._given_client = self._client = given.pop("client", self._given_client)
        self._settings = {**self._settings, **given}
        self._fs_token_ = fingerprint(self._config, self._settings, self._fs_token, number_of(self._given_client))

    @property
    def client(self) -> CtaClient:
        """The client through which everything goes."""
        if self._client is None:
            self._client = shared_client(self._config, self._settings)
        return self._client

    def __reduce__(self) -> tuple[Any, ...]:
        options = self.storage_options
        if self._given_client is not None:
            options = {**options, "client": self._given_client}
        return make_instance, (type(self), self.storage_args, options)

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """Return what can be written as JSON; it holds no secret.

        Raises:
            ConfigError: When the file system was made from a client: only the other process could know it.
        """
        if self._given_client is not None:
            raise ConfigError("a file system made with client= cannot be written as JSON", remedy="give its settings")
        options = {name: value for name, value in self.storage_options.items() if name != "config"}
        if self._config is not None:
            options["config"] = _plain(self._config)
        made = type(self)(**{**options, "skip_instance_cache": True})
        made.storage_args, made.storage_options = (), options
        told: dict[str, Any] = super(Connected, made).to_dict(include_password=include_password)
        return told

    # Paths.

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return "/" + _named(path)[1].strip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: Any) -> dict[str, Any]:
        name = _named(path)[0]
        return {} if name is None else {"profile": name}

    def unstrip_protocol(self, name: str) -> str:
        """Return the canonical address of a path."""
        return uri.format_uri(self._strip_protocol(name))

    @property
    def fsid(self) -> str:
        """What tells this storage from others, in other processes, too.

        Raises:
            NotOfferedError: When it is in memory.
        """
        config = self.client.config
        if config.backend == "webdav":
            return f"{_PROTOCOL}_{config.door_url}{config.base_path}"
        if config.backend == "downloadservice":
            return f"{_PROTOCOL}_{config.service_url}"
        raise NotOfferedError("a storage in memory has no identifier")

    def _path(self, path: Any) -> str:
        """Return the absolute path of an address that belongs to this storage.

        Raises:
            ConfigError: When it names another profile.
        """
        name = _named(path)[0]
        if name is not None and self.client.config.profile != name:
            raise ConfigError(
                f"{path} names the profile '{name}', this file system has '{self.client.config.profile}'",
                path=stringify_path(path),
                remedy=f"make a file system with profile='{name}'",
            )
        text: str = self._strip_protocol(path)
        return text

    def _file_path(self, path: Any) -> str:
        """Return the absolute path of a file that is to be stored.

        Raises:
            IsADirError: When it is written as that of a folder.
        """
        checked = self._path(path)
        if stringify_path(path).endswith("/"):
            raise IsADirError(
                f"cannot write to {path}: it names a folder", path=checked, remedy="give the name of a file in it"
            )
        return checked

    @contextmanager
    def changing(self, *paths: Any) -> Iterator[None]:
        """Forget at the end what was listed of some paths, or of all: they may have changed, also with an error."""
        try:
            yield
        finally:
            for path in paths or (None,):
                self.invalidate_cache(path)

    def invalidate_cache(self, path: Any = None) -> None:
        """Forget what was listed: of all, or what may have changed with a path."""
        self._changes += 1
        if path is None:
            self.dircache.clear()
        else:
            checked = self._path(path)
            above = {checked, "/", *(checked[:i] for i, letter in enumerate(checked) if letter == "/" and i)}
            below = checked.rstrip("/") + "/"
            for known in list(self.dircache):
                if known in above or known.startswith(below):
                    self.dircache.pop(known, None)


def _named(path: Any) -> tuple[str | None, str]:
    """Return the name before `@` in an address, if any, and what follows."""
    text = stringify_path(path)
    for prefix in (f"{_PROTOCOL}://", f"{_PROTOCOL}::"):
        if text.startswith(prefix):
            rest = text[len(prefix) :]
            first = rest.partition("/")[0]
            if "@" not in first:
                return None, rest
            name = first.partition("@")[0]
            return name, rest[len(name) + 1 :]
    uri.refuse_one_slash(text)
    return None, text


def _plain(config: Config) -> dict[str, Any]:
    """Return settings that make the same configuration, without secrets."""
    values = {name: getattr(config, name) for name in SETTINGS - PRIVATE}
    return {name: value for name, value in values.items() if value is not None}
