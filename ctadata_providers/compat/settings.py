"""The settings of one call: those of profile and environment, under what the call itself says."""

from typing import Any, TypedDict

from ctadata_providers import Config


class Overrides(TypedDict, total=False):
    """What every function takes by keyword; None is not given.

    Attributes:
        token: A token of JupyterHub for the services, with certificates always; where a door is meant, a bearer token.
        downloadservice: Address of the downloadservice, which is used then.
        certificateservice: Address of the certificateservice.
        chunk_size: Taken and not needed: the transfer core chooses by itself.
        dev_instance: Whether to use the door of the profile `dev`.
    """

    token: str | None
    downloadservice: str | None
    certificateservice: str | None
    chunk_size: int | None
    dev_instance: bool


def config_of(overrides: Overrides, *, direct: bool) -> Config:
    """Return the settings of a call.

    Args:
        overrides: What the call says.
        direct: Whether a door is meant in any case.

    Raises:
        ConfigError: When a setting cannot be used.
    """
    dev = bool(overrides.get("dev_instance"))
    given: dict[str, Any] = {"certificate_service_url": overrides.get("certificateservice")}
    if dev:
        given["profile"] = "dev"
    if direct or dev:
        given["backend"] = "webdav"
    elif overrides.get("downloadservice") is not None:
        given |= {"backend": "downloadservice", "service_url": overrides["downloadservice"]}
    config = Config.from_env(**given)
    token = overrides.get("token")
    if token is None:
        return config
    if config.backend == "downloadservice":
        return Config.from_env(**given, hub_token=token)
    if _door_chosen(config):
        return Config.from_env(**given, token=token)
    # A token alone is one for the service that ctadata knows.
    return Config.from_env(**{**given, "backend": "downloadservice"}, hub_token=token)


def services_config(overrides: Overrides) -> Config:
    """Return the settings of a call that is about the services, whatever files come from: its token is the hub's.

    Raises:
        ConfigError: When a setting cannot be used.
    """
    return Config.from_env(
        profile="dev" if overrides.get("dev_instance") else None,
        hub_token=overrides.get("token"),
        service_url=overrides.get("downloadservice"),
        certificate_service_url=overrides.get("certificateservice"),
    )


def _door_chosen(config: Config) -> bool:
    chosen = {config.given_by("backend"), config.given_by("door_url")}
    return not chosen <= {None, "built-in"} or config.service_url is None
