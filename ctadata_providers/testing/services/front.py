"""What `FakeCta` has of the services: addresses, tokens, certificates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.past_proxies import past_proxies
from ctadata_providers.testing.requestlog import ServerName

if TYPE_CHECKING:
    from ctadata_providers.testing.services.certificates import CertificateState
    from ctadata_providers.testing.services.server import ServicesServer

SERVICE_FRONTS: tuple[ServerName, ...] = ("downloadservice",)
SERVICE_BACKS: tuple[ServerName, ...] = ("hub", "certificateservice", "storage")
"""The servers of the services that have faults, and those only if they are named."""


class ServicesFront(ABC):
    """The half of `FakeCta` that is about the services, which are there with `services=True`."""

    _hub_token = ""

    @property
    @abstractmethod
    def ca_file(self) -> Path | None:
        """The certificate authority to trust, a PEM file; None without TLS."""

    @property
    @abstractmethod
    def _services(self) -> ServicesServer:
        """The running services.

        Raises:
            ConfigError: When there are none.
        """

    @property
    def service_url(self) -> str:
        """The downloadservice's URL, with a slash at the end, as in CTADS_URL."""
        return f"{self._services.url}/services/downloadservice/"

    @property
    def certificate_service_url(self) -> str:
        """The certificateservice's URL, with a slash at the end, as in CTACS_URL."""
        return f"{self._services.url}/services/certificateservice/"

    @property
    def hub_url(self) -> str:
        """The JupyterHub's URL, with a slash at the end."""
        return f"{self._services.url}/hub/"

    @property
    def hub_token(self) -> str:
        """A hub token of alice with the scopes of both services, the same until `close`."""
        if not self._hub_token:
            self._hub_token = self.make_hub_token()
        return self._hub_token

    def make_hub_token(
        self, user: str = "alice", *, scope: bool = True, admin: bool = False, lifetime: float | None = None
    ) -> str:
        """Return a new hub token.

        Args:
            user: Whose it is; there is everybody whom one names.
            scope: Whether it is good for the services.
            admin: Whether the user administrates the hub.
            lifetime: Seconds from now to its expiry, None for never.
        """
        return self._services.hub.make_token(user, scope=scope, admin=admin, lifetime=lifetime)

    def revoke_hub_token(self, token: str) -> None:
        """End a hub token; a service that has seen it takes it for good for up to a minute more."""
        self._services.hub.revoke(token)

    def set_certificate(self, user: str, key: str, state: CertificateState) -> None:
        """Say which certificate a user has delegated for a key; everybody has a valid one for each until then.

        Args:
            user: The user's name.
            key: `lst`, `cta`, or `arc` for all that lies elsewhere.
            state: `none`, `expired`, `valid`, or `keyless` for one without its private key.

        Raises:
            ConfigError: For an unknown key or state.
        """
        from ctadata_providers.testing.services.users import CERTIFICATE_KEYS

        if key not in CERTIFICATE_KEYS:
            raise ConfigError(f"unknown certificate key {key!r}", remedy=f"use one of {', '.join(CERTIFICATE_KEYS)}")
        self._services.certificates.set_state(user, key, _checked(state))

    def set_shared_certificate(self, state: CertificateState) -> None:
        """Say which shared certificate there is, a valid one until then; as `set_certificate`.

        Raises:
            ConfigError: For an unknown state.
        """
        self._services.certificates.set_shared(_checked(state))

    def service_settings(self) -> dict[str, str | bool]:
        """Return the settings for `Config(**settings)`, complete for a client of the services."""
        settings: dict[str, str | bool] = {
            "backend": "downloadservice",
            "service_url": self.service_url,
            "certificate_service_url": self.certificate_service_url,
            "hub_token": self.hub_token,
        }
        return settings | ({"ca_path": str(self.ca_file)} if self.ca_file else {})

    def service_environ(self) -> dict[str, str]:
        """Return the same settings as environment variables; where a proxy is set, also those that lead past it."""
        environ = past_proxies([self.service_url]) | {
            "CTADS_URL": self.service_url,
            "CTACS_URL": self.certificate_service_url,
            "JUPYTERHUB_API_TOKEN": self.hub_token,
        }
        return environ | ({"CTA_CA_PATH": str(self.ca_file)} if self.ca_file else {})


def _checked(state: CertificateState) -> CertificateState:
    from ctadata_providers.testing.services.certificates import CertificateState as States

    if state not in get_args(States):
        raise ConfigError(
            f"unknown state of a certificate: {state!r}", remedy=f"use one of {', '.join(get_args(States))}"
        )
    return state
