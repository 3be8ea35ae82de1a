"""Which credential goes to which origin.

A credential is bound to origins (scheme, host, port): the door's own, and https origins of `trusted_hosts`. Everything
else, above all a dCache pool, gets none: there the single-use URL is the credential.
"""

import logging
import time
from dataclasses import dataclass
from functools import lru_cache, partial
from urllib.parse import urlsplit

from ctadata_providers.config import Config
from ctadata_providers.credentials.discovery import Skipped, candidates
from ctadata_providers.credentials.tokens import FileToken, Renewable, Token, TokenProvider, require_fresh
from ctadata_providers.credentials.x509.certificate import ClientCertificate
from ctadata_providers.errors import CredentialError

_log = logging.getLogger(__name__)

DEFAULT_PORTS = {"http": 80, "https": 443}
_BEHIND_SCHEME = len("https://")


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL (RFC 6454).

    >>> origin("https://Door.example/x")
    ('https', 'door.example', 443)
    """
    end = url.find("/", _BEHIND_SCHEME)
    return _origin(url if end < 0 else url[:end])


@lru_cache(maxsize=256)
def _origin(url: str) -> tuple[str, str, int]:
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
            place[0] == "https" and any(matches(place[1], host) for host in self.trusted_hosts)
        )

    @property
    def has_token(self) -> bool:
        """Whether it is a bearer token."""
        return self.token_provider is not None

    def token(self) -> Token | None:
        """Return the bearer token to send now, None without one; may wait for a file, a program or the network.

        Raises:
            CredentialError: When it cannot be read, is malformed, or has expired.
            TransientError: When whoever gives it is away.
        """
        provider = self.token_provider
        if provider is None:
            return None
        token = provider()
        try:
            return require_fresh(token)
        except CredentialError as error:
            if not isinstance(provider, Renewable):
                raise
            # Nobody can put another one there.
            remedy = f"see why {token.source} gives an old one, and whether the clock of this machine is right"
            raise CredentialError(error.message, remedy=remedy) from None

    def ready(self) -> Token | None:
        """Return the bearer token if it can be sent now, without waiting; None when `token` must be asked."""
        # Asked for every request, and `isinstance` of a protocol takes longer than all the rest.
        ready = getattr(self.token_provider, "ready", None)
        token: Token | None = ready() if ready else None
        return None if token is None or token.expired(time.time()) else token

    def renew(self, rejected: Token) -> Token | None:
        """Return another token than the one that a server rejected, None when the source has no other one.

        Raises:
            CredentialError: When the source that should give another one does not.
            TransientError: When whoever gives it is away.
        """
        provider = self.token_provider
        if provider is None:
            return None
        if isinstance(provider, FileToken):
            token = provider.read_again()
        else:
            token = provider.renew(rejected) if isinstance(provider, Renewable) else provider()
        return None if token.value == rejected.value or token.expired(time.time()) else token


def resolve(config: Config) -> Credential:
    """Return the credential that the settings choose, or that lies about (`discovery.candidates`).

    Of what the settings name nothing is read: that happens at the first request. Other files are looked at; no program
    is run and no server asked.

    Raises:
        CredentialError: When what comes first cannot be used, so that taking another would hide a mistake; or when
            there is nothing but a token that has ended.
        ConfigError: When a robot account lacks a setting.
    """
    bind = partial(Credential, home=origin(config.door_url), trusted_hosts=config.trusted_hosts)
    missed: Skipped | None = None
    for candidate in candidates(config):
        source = candidate.find()
        if isinstance(source, Skipped):
            _log.info("%s is passed over: %s", candidate.name, source.why)
            missed = missed or (source if source.missed else None)
        elif isinstance(source, ClientCertificate):
            return bind(certificate=source)
        elif source is not None:
            return bind(token_provider=source)
    if missed is not None:
        raise CredentialError(missed.why, remedy=missed.remedy)
    return bind()


def renewable(config: Config) -> Renewable | None:
    """Return the first source that can give new tokens, whatever values and files come before it; None without one.

    Raises:
        CredentialError: When it cannot be used.
        ConfigError: When a robot account lacks a setting.
    """
    found = (candidate.find() for candidate in candidates(config) if candidate.kind == "renewable")
    return next((source for source in found if isinstance(source, Renewable)), None)


def matches(host: str, pattern: str) -> bool:
    """Tell whether a host is the one of a pattern, or with `*.domain` one in that domain."""
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
