"""A file system whose settings are those of a connection, as it is now."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from airflow_provider_cta.hooks.cta import CtaHook
from ctadata_providers import Config, CtaClient
from ctadata_providers.filesystem import CtaFile, CtaFileSystem


class ConnectionFileSystem(CtaFileSystem):
    """A CTA storage under a connection, which is looked up at each use; its tokens are masked in the logs.

    So what is made while a DAG is parsed works later, in any process, with the credential of that time. A file that is
    open for reading stays with the connection as it was when it was opened.

    Args:
        conn_id: The connection.
        given: The names of the options that were given; fsspec adds what its own configuration says of `cta`, which
            does not count: a connection is complete.
        **options: As for `CtaFileSystem`; settings win over those of the connection.
    """

    def __init__(self, conn_id: str, given: Sequence[str] = (), **options: Any) -> None:
        super().__init__(**{name: options[name] for name in given if name in options})
        self.conn_id = conn_id
        self._given_names = frozenset(given)
        self._used: Config | None = None

    @classmethod
    def of(cls, conn_id: str, options: Mapping[str, Any]) -> Self:
        """Return the file system of a connection with some options."""
        made: Self = cls(conn_id=conn_id, given=tuple(sorted(options)), **options)
        return made

    def keep_private(self, options: Mapping[str, Any]) -> None:
        """Take options that fsspec must not keep."""
        super().keep_private({name: value for name, value in options.items() if name in self._given_names})

    @property
    def client(self) -> CtaClient:
        """The client of the connection as it is now."""
        config = CtaHook(self.conn_id).config().with_settings(**self._settings)
        if self._client is None or config != self._used:
            self._client, self._used = CtaClient(config), config
        return self._client

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> CtaFile:
        # Each block that is read would else look up the connection.
        return CtaFile(CtaFileSystem(client=self.client) if mode == "rb" else self, path, mode, **kwargs)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        options = {name: value for name, value in self.storage_options.items() if name in self._given_names}
        return type(self).of, (self.conn_id, options)
