"""The token of a JupyterHub: for the CTA services and their hub alone, and never for a door.

One that a hub has put into the environment (`JUPYTERHUB_API_TOKEN`) opens everything that the user has at that hub. It
goes only where the user has said so, or to that hub itself: the services of a built-in profile may be of another one.
"""

import os
from functools import partial
from urllib.parse import urlsplit

from ctadata_providers.config import Config, is_of_ambient_hub, is_of_another
from ctadata_providers.credentials.resolve import Credential, origin
from ctadata_providers.credentials.tokens import FixedToken, Token
from ctadata_providers.errors import CredentialError

_LOCAL = ("localhost", "127.0.0.1", "::1")
_SERVICES = ("service_url", "certificate_service_url", "hub_url")


def hub_credential(config: Config, url: str) -> Credential:
    """Return the hub token, bound to the origin of a service or of its hub; nothing is asked or read.

    Args:
        config: The settings.
        url: Where it is to go.

    Raises:
        CredentialError: When there is none, or it must not be sent there.
    """
    bind = partial(Credential, home=origin(url))
    if config.hub_token is None:
        remedy = f"{new_token(config, url)} as JUPYTERHUB_API_TOKEN"
        raise CredentialError(f"there is no hub token for {url}", remedy=remedy)
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOCAL:
        raise CredentialError(f"a hub token is not sent unencrypted to {url}", remedy="use an https service_url")
    if not may_have(config, url):
        raise CredentialError(
            f"the token in JUPYTERHUB_API_TOKEN is of another hub than {url}: it is not sent there",
            remedy=f"if it is good there, {_word(config)}; else {new_token(config, url)}",
        )
    return bind(token_provider=FixedToken(Token.parse(config.hub_token, source=_source(config))))


def may_have(config: Config, url: str) -> bool:
    """Tell whether the hub token may go to a URL: that of a service or hub that the settings name.

    One from the environment goes to what the user has named, and to the hub that it is from.
    """
    named = {name: getattr(config, name) for name in _SERVICES}
    ambient = config.given_by("hub_token") == "environment"
    trusted = {
        origin(place) for name, place in named.items() if place and not (ambient and not _given_by_user(config, name))
    }
    return origin(url) in trusted or (ambient and is_of_ambient_hub(url, os.environ))


def new_token(config: Config, url: str | None = None) -> str:
    """Return how to get a hub token, as the first words of a remedy.

    Args:
        config: The settings.
        url: What it is for; by default the downloadservice.
    """
    scope = service_scope(config, url)
    page = f"{config.hub}token" if config.hub else "the hub's page for tokens"
    return f"get a token with the scope {scope} from {page} (or restart your server there), and give it"


def services_instead(config: Config) -> str | None:
    """Return how to come to the services with a hub token that lies about unused, None where there is none.

    A hub need not tell its servers its public address (before JupyterHub 5 it cannot): then nothing shows that it is
    that of the services, and its token stays here.
    """
    chosen = {config.given_by("backend"), config.given_by("door_url")}
    unused = config.backend == "webdav" and config.given_by("hub_token") == "environment" and config.hub_token
    if not (unused and chosen <= {None, "built-in"} and config.service_url):
        return None
    return f"if the token in JUPYTERHUB_API_TOKEN is of their hub, use the CTA services: CTADS_URL={config.service_url}"


def service_scope(config: Config, url: str | None = None) -> str:
    """Return the scope that a token needs for what is at a URL: the certificateservice, else the downloadservice."""
    service, usual = config.service_url, "downloadservice"
    if url is not None and url == config.certificate_service:
        service, usual = url, "certificateservice"
    name = urlsplit(service or "").path.rstrip("/").rpartition("/")[2] or usual
    return f"access:services!service={name}"


def _given_by_user(config: Config, name: str) -> bool:
    return config.given_by(name) in ("explicit", "environment") or (
        config.given_by(name) == "profile" and not is_of_another(config)
    )


def _word(config: Config) -> str:
    """Return how the user says that the token of the environment is for the service of these settings."""
    if is_of_another(config):
        return f"choose the profile: --profile {config.profile}"
    return f"set CTADS_URL to {config.service_url}"


def _source(config: Config) -> str:
    return "JUPYTERHUB_API_TOKEN" if config.given_by("hub_token") == "environment" else "the setting hub_token"
