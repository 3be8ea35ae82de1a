"""Where a browser finds files and folders: the settings alone tell, and nobody is asked."""

from urllib.parse import quote

from ctadata_providers.backends.services.urls import Urls
from ctadata_providers.config import Config
from ctadata_providers.errors import UnsupportedError


def browser_url(config: Config, path: str, *, folder: bool) -> str:
    """Return where a browser, with a credential of its own, shows or downloads a file or folder.

    Args:
        config: The settings.
        path: Absolute.
        folder: Whether it is a folder.

    Raises:
        UnsupportedError: When the backend has no such places.
    """
    if config.backend == "memory":
        raise UnsupportedError(f"{path} has no URL at this backend", path=path, remedy="download it")
    if config.backend == "downloadservice" and config.service_url is not None:
        urls = Urls(config.service_url)
        return urls.listing(path) if folder else urls.fetch(path)
    slash = "/" if folder and path != "/" else ""
    return config.door_url + quote(config.base_path.rstrip("/") + path) + slash
