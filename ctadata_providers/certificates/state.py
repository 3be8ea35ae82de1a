"""Whether the CTA services are well, and whether one's certificates work there, as far as they tell."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from ctadata_providers.certificates.delegation import KEYS, CertificateKey
from ctadata_providers.config import Config
from ctadata_providers.errors import ConfigError, CtaError

if TYPE_CHECKING:
    from ctadata_providers.certificates.asking import Refusal, WordySession

KeyState = Literal["works", "missing", "expired", "unusable", "token refused", "unknown"]
"""What is known of a certificate at the services.

`works`: the storage answered; `missing`: there is neither an own nor a shared one; `expired`: it must be given anew;
`unusable`: the storage refuses it, or it has no key; `token refused`: nothing is known, for the hub token is no good;
`unknown`: the service or its storage is away.
"""
ServiceName = Literal["downloadservice", "storage", "certificateservice", "shared certificate"]
_AT_ONCE = 4
_WORKS = "the storage answered"
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """Whether a part of the services is well.

    Attributes:
        name: Which part.
        url: What was asked.
        well: Whether it says so.
        said: What it says, or why it says nothing.
        needed: Whether one's own certificates need it: not so the shared certificate, nor what is asked with that.
    """

    name: ServiceName
    url: str
    well: bool
    said: str
    needed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """Whether a certificate works.

    Attributes:
        key: What it is for.
        state: What is known of it.
        said: What the service says.
        remedy: What the user can do, None for nothing.
    """

    key: CertificateKey
    state: KeyState
    said: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesStatus:
    """How the services are.

    Attributes:
        services: Their parts.
        keys: The certificates that were asked about.
    """

    services: tuple[ServiceStatus, ...]
    keys: tuple[KeyStatus, ...]

    @property
    def well(self) -> bool:
        """Whether one can work: the services are there, a certificate works, and none that was given fails."""
        return (
            all(service.well for service in self.services if service.needed)
            and any(key.state == "works" for key in self.keys)
            and all(key.state in ("works", "missing") for key in self.keys)
        )


def status(config: Config | None = None, *, keys: Sequence[CertificateKey] = KEYS) -> ServicesStatus:
    """Ask how the services are, and for each key whether one's certificate works; each is asked once.

    The services tell nobody what is stored. So for each key something is listed that needs it; there the shared
    certificate may stand in for one's own, for users who may have it.

    Args:
        config: The settings; default those of profile and environment.
        keys: Which certificates to ask about.

    Raises:
        ConfigError: When no downloadservice or no certificateservice is known.
    """
    chosen = config or Config.from_env()
    download, certificates = _place(chosen.service_url, "service_url"), chosen.certificate_service
    certificates = _place(certificates, "certificate_service_url")
    parts: list[tuple[ServiceName, str, bool]] = [
        ("downloadservice", f"{download}health", True),
        ("storage", f"{download}storage-status", False),
        ("certificateservice", f"{certificates}health", True),
        ("shared certificate", f"{certificates}shared-certificate-status", False),
    ]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        services = [threads.submit(_service, chosen, *part) for part in parts]
        asked = [threads.submit(_key, chosen, download, key) for key in keys]
        return ServicesStatus(
            services=tuple(service.result() for service in services), keys=tuple(key.result() for key in asked)
        )


def _place(url: str | None, setting: str) -> str:
    if url is None:
        raise ConfigError(f"{setting} is not known", remedy=f"set {setting} ({'CTADS_URL' if setting == 'service_url' else 'CTACS_URL'})")
    return url


def _service(config: Config, name: ServiceName, url: str, needed: bool) -> ServiceStatus:
    from ctadata_providers.certificates.asking import LOGIN_PAGE, OpenSession, Refusal

    made = partial(ServiceStatus, name=name, url=url, needed=needed)
    try:
        said = _asked(lambda: OpenSession(config, url), url, name)
    except Refusal as refusal:
        nowhere = refusal.status == LOGIN_PAGE
        return made(well=False, said="there is no such service" if nowhere else f"{refusal.status} {refusal.words}")
    except CtaError as error:
        return made(well=False, said=str(error))
    return made(well=True, said=said)


def _key(config: Config, service_url: str, key: CertificateKey) -> KeyStatus:
    from ctadata_providers.certificates.asking import Refusal, WordySession

    # The first element of a path chooses the certificate; what has another one, the root too, is of `arc`.
    url = f"{service_url}list" if key == "arc" else f"{service_url}list/{key}/users"
    try:
        _asked(lambda: WordySession(config, service_url), url, f"certificate for {key!r}", is_listing=True)
    except Refusal as refusal:
        state, remedy = _meaning(refusal, key)
        return KeyStatus(key=key, state=state, said=f"{refusal.status} {refusal.words}", remedy=remedy)
    except CtaError as error:
        refused = isinstance(error, CredentialError)
        return KeyStatus(key=key, state="token refused" if refused else "unknown", said=error.message, remedy=error.remedy)
    return KeyStatus(key=key, state="works", said=_WORKS)
