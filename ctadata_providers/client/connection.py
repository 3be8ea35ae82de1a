"""What a client stands on: settings that are resolved at the first use, and a backend opened for them."""

from types import TracebackType
from typing import Any, Self

from ctadata_providers import uri
from ctadata_providers.backends import Backend, open_backend
from ctadata_providers.config import UNPICKLED, Config, config_of_another
from ctadata_providers.errors import ConfigError, IsADirError
from ctadata_providers.forks import fork_safe_lock
from ctadata_providers.transfer import Context

SHARED_SETTINGS = (
    *("ca_path", "copy_hosts", "allow_http_pools", "checksum"),
    *("max_parallel", "streams", "retries", "connect_timeout", "timeout", "max_requests_per_second"),
)
"""Settings that, explicitly given, also hold for the other side of a copy; no place and no credential is among them."""


class Connection:
    """A storage under some settings. Construction does no I/O; many threads can use one, each process its own.

    Args:
        config: The settings; without it they are resolved by `Config.from_env(**settings)` at the first request.
        **settings: Settings by name, over those of `config`.
    """

    def __init__(self, config: Config | None = None, **settings: Any) -> None:
        self._given = config
        self._settings = settings
        self._lock = fork_safe_lock()
        self._context: Context | None = None
        self._config: Config | None = None
        self._others: dict[str, Connection] = {}

    @property
    def config(self) -> Config:
        """The settings, resolved at the first use."""
        if self._config is None:
            with self._lock:
                if self._config is None:
                    given, settings = self._given, self._settings
                    self._config = given.with_settings(**settings) if given else Config.from_env(**settings)
        return self._config

    def close(self) -> None:
        """Close idle connections; the client can still be used.

        What stopped uploads have left may still be being removed: that is waited for, 1.2 s from the stop at most, but
        not in the thread of an event loop, nor in a callback of a transfer; there the end of the process waits.
        """
        if self._context is not None:
            try:
                self._context.background.wait()
            finally:  # a Ctrl-C may end it
                self._context.backend.close()
                self._context.cleaner.close()
        for other in self._others.values():
            other.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        # Connections and secrets stay here: the other process resolves its own.
        return {"given": self._given, "settings": {k: v for k, v in self._settings.items() if k not in UNPICKLED}}

    def __copy__(self) -> Self:
        return type(self)(self._given, **self._settings)  # in this process it keeps its secrets

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        Connection.__init__(self, state["given"], **state["settings"])

    @property
    def _transfers(self) -> Context:
        if self._context is None:
            config = self.config
            with self._lock:
                if self._context is None:
                    self._context = Context.of(open_backend(config), config)
        return self._context

    @property
    def _backend(self) -> Backend:
        return self._transfers.backend

    def _path(self, text: str) -> str:
        """Return the path of an address that belongs to this client.

        Raises:
            ConfigError: When it is not usable, or names another profile.
        """
        address = uri.parse(text)
        if address.name is not None and address.name != self.config.profile:
            raise self._names_another(text, address.name)
        return address.path

    def _file(self, text: str, act: str) -> str:
        """Return the path of an address that belongs to this client, and names a file.

        Raises:
            ConfigError: As `_path`.
            IsADirError: When it names a folder; the message tells of the act.
        """
        path = self._path(text)
        if uri.parse(text).is_folder:
            raise IsADirError(
                f"cannot {act} {text}: it names a folder", path=path, remedy="give the name of a file in it"
            )
        return path

    def _side(self, text: str) -> "tuple[Connection, str]":
        """Return the storage of an address, which may be the one of another profile, and its path there.

        Raises:
            ConfigError: When it is not usable, or names a profile that is not known, or may not be looked for.
        """
        address = uri.parse(text)
        if address.name is None or address.name == self.config.profile:
            return self, address.path
        if not self.config.ambient_credentials:
            raise self._names_another(text, address.name)  # these settings are complete: nothing else is consulted
        with self._lock:
            if address.name not in self._others:
                shared = {name: self.config.given_by(name) for name in SHARED_SETTINGS}
                given = {name: getattr(self.config, name) for name, level in shared.items() if level == "explicit"}
                self._others[address.name] = Connection(config_of_another(address.name, self.config, **given))
            return self._others[address.name], address.path

    def _names_another(self, text: str, name: str) -> ConfigError:
        return ConfigError(
            f"{text} names the profile '{name}', this client has '{self.config.profile}'",
            path=text,
            remedy=f"make a client with profile='{name}'",
        )
