"""Which credential goes to which origin.

A credential is bound to origins (scheme, host, port): the door's own, and https origins of `trusted_hosts`. Everything
else, above all a dCache pool, gets none: there the single-use URL is the credential.
"""

from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from ctadata_providers.config import Config
from ctadata_providers.credentials.tokens import FileToken, Token, TokenProvider, fixed_token, require_fresh
from ctadata_providers.credentials.x509 import ClientCertificate
from ctadata_providers.errors import CredentialError

DEFAULT_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL (RFC 6454).

    >>> origin("https://Door.example/x")
    ('https', 'door.example', 443)
    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0)


@dataclass(frozen=True, slots=True)
class Credential:
    """What proves who we are, and where it may be shown.

    Attributes:
        token_provider: Gives the bearer token; None when there is none.
        certificate: Shown in TLS when there is no token; None when there is none.
        home: The origin it is bound to.
        trusted_hosts: Further hosts that may see it, over https (`*.domain` too).
    """

    home: tuple[str, str, int]
    token_provider: TokenProvider | None = None
    certificate: ClientCertificate | None = None
    trusted_hosts: tuple[str, ...] = ()

    def may_see(self, url: str) -> bool:
        """Tell whether a request to this URL may carry the credential."""
        place = origin(url)
        return place == self.home or (
            place[0] == "https" and any(_matches(place[1], host) for host in self.trusted_hosts)
        )

    def token(self) -> Token | None:
        """Return the bearer token to send now, None without one.

        Raises:
            CredentialError: When it cannot be read, is malformed, or has expired.
        """
        return require_fresh(self.token_provider()) if self.token_provider else None


def resolve(config: Config) -> Credential:
    """Return the credential that the settings choose: token, token file, then proxy or certificate.

    Reads no file: that happens at the first request.

    Raises:
        CredentialError: When a bearer token would go over plain http to another machine.
    """
    bind = partial(Credential, home=origin(config.door_url), trusted_hosts=config.trusted_hosts)
    if config.token is not None or config.token_file is not None:
        scheme, host, _ = origin(config.door_url)
        if scheme == "http" and host not in ("localhost", "127.0.0.1", "::1"):
            raise CredentialError(
                f"a bearer token is not sent unencrypted to {config.door_url}", remedy="use an https door_url"
            )
    if config.token is not None:
        return bind(token_provider=fixed_token(config.token, source="the setting token (BEARER_TOKEN)"))
    if config.token_file is not None:
        return bind(token_provider=FileToken(config.token_file))
    if config.proxy_file is not None:
        return bind(certificate=ClientCertificate(config.proxy_file))
    if config.cert_file is not None:
        return bind(certificate=ClientCertificate(config.cert_file, config.key_file))
    return bind()


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
