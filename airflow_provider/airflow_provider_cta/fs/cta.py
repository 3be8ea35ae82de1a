"""What Airflow asks for a file system of the scheme `cta`.

It asks while DAGs are parsed and keeps what it gets, so this module and `get_fs` import nothing heavy, look up no
connection, and raise nothing that Airflow would swallow.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctadata_providers.filesystem import CtaFileSystem

schemes = ["cta"]


def get_fs(conn_id: str | None, storage_options: Mapping[str, Any] | None = None) -> "CtaFileSystem":
    """Return the file system of a connection, which is looked up at each use.

    Args:
        conn_id: The connection; None for what the worker itself has (its environment, profiles and logins), as where
            `fsspec` is used without Airflow.
        storage_options: Settings by name, over those of the connection.

    Raises:
        ConfigError: For an unknown setting.
    """
    options = dict(storage_options or {})
    if conn_id is None:
        from ctadata_providers.filesystem import CtaFileSystem

        return CtaFileSystem(**options)
    from airflow_provider_cta.fs.system import ConnectionFileSystem

    return ConnectionFileSystem.of(conn_id, options)
