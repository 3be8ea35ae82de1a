"""`ctadata doctor` where the CTA services are used: the hub token, its scopes, one's own folder, the storage."""

from typing import Any

from ctadata_providers import Config, CtaClient, CtaError
from ctadata_providers.cli.output import Output


def doctor_of_services(config: Config, output: Output) -> int:
    """Print what the hub and the service say of us, step by step; 1 when a step fails."""
    told: dict[str, Any] = {
        "profile": config.profile,
        "service_url": config.service_url,
        "hub_url": config.hub,
        "user": None,
        "scopes": None,
        "home": None,
        "error": None,
        "next": "nothing, the hub token can be used",
    }
    try:
        _look(config.with_settings(retries=0), told)
    except CtaError as error:
        told |= {"error": error.message, "next": error.remedy or "tell the operators of the service"}
    output.record(told, *_lines(told))
    return 1 if told["error"] else 0


def _look(config: Config, told: dict[str, Any]) -> None:
    """Ask the hub for the user and the scopes of the token, and the service for the user's own folder.

    Raises:
        CtaError: When something of that fails.
    """
    from ctadata_providers.backends.services.hub import hub_user, missing_scope
    from ctadata_providers.credentials.hub import new_token
    from ctadata_providers.errors import CredentialError

    user = hub_user(config)
    told |= {"user": user.name, "scopes": None if user.scopes is None else sorted(user.scopes)}
    scope = missing_scope(config, user)
    if scope is not None:
        raise CredentialError(f"the hub token of {user.name} lacks the scope {scope}", remedy=new_token(config))
    with CtaClient(config) as client:
        home = client.home()
        if not client.exists(home):
            client.stat("/".join(home.split("/")[:3]))  # what keeps us out, a certificate say, is told
        told["home"] = home


def _lines(told: dict[str, Any]) -> list[str]:
    scopes = ", ".join(told["scopes"]) if told["scopes"] else "not told"
    return [
        f"profile {told['profile']}, service {told['service_url']}",
        f"hub {told['hub_url']}; the hub token goes to them alone, and no other credential does",
        *([f"token of {told['user']}, scopes: {scopes}"] if told["user"] else []),
        *([f"your own folder: {told['home']}"] if told["home"] else []),
        *([f"error: {told['error']}"] if told["error"] else []),
        f"next: {told['next']}",
    ]
