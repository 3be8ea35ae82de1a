"""A ready client of the library webdav4, for programs that are written for it."""

from typing import TYPE_CHECKING, Any

from ctadata_providers.errors import ConfigError

if TYPE_CHECKING:
    from ctadata_providers.config import Config
    from ctadata_providers.webdav4_client.client import Webdav4Client

__all__ = ["webdav4_client"]


def webdav4_client(config: "Config | None" = None, **settings: Any) -> "Webdav4Client":
    """Return a `webdav4.client.Client` for the door, or the downloadservice, that the settings choose.

    It has our credential, trust, proxies and time-outs; nothing is asked before its first use.

    Args:
        config: The settings; without it they are those of profile and environment.
        **settings: Settings by name, over those.

    Raises:
        ConfigError: When webdav4 is not installed or too old, or a setting cannot be used.
    """
    try:
        from ctadata_providers.webdav4_client.client import Webdav4Client
    except ImportError as error:
        library = str(error.name).partition(".")[0]
        if library not in ("webdav4", "httpx"):
            raise
        # ctadata needs a version before 0.10, which stays when it is removed.
        what = "is not installed" if isinstance(error, ModuleNotFoundError) else "that is installed is too old"
        raise ConfigError(f"the library {library} {what}", remedy="pip install 'ctadata-providers[webdav4]'") from error
    return Webdav4Client(config, **settings)
