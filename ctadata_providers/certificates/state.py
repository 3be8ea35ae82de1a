"""Whether the CTA services are well, and whether one's certificates work there, as far as they tell."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from threading import Semaphore
from typing import TYPE_CHECKING, Literal, TypeVar

from ctadata_providers.certificates.delegation import KEYS, CertificateKey, require_key
from ctadata_providers.config import Config
from ctadata_providers.errors import ConfigError, CredentialError, CtaError, StorageError

if TYPE_CHECKING:
    from ctadata_providers.certificates.asking import Refusal, WordySession

KeyState = Literal["works", "missing", "expired", "unusable", "no token", "token refused", "unknown"]
"""What is known of a certificate at the services.

`works`: the storage answered; `missing`: there is neither an own nor a shared one; `expired`: it must be given anew;
`unusable`: the storage refuses it, or it has no key; `no token`, `token refused`: nothing is known, for there is no hub
token for this service, or it is no good; `unknown`: the service or its storage is away, or is not there at all.
"""
ServiceName = Literal["downloadservice", "storage", "certificateservice", "shared certificate"]
T = TypeVar("T")
_AT_ONCE = 4
_HEALTH_BYTES = 4096


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
        ConfigError: When no downloadservice or no certificateservice is known; for an unknown key.
    """
    for key in keys:
        require_key(key)
    chosen = config or Config.from_env()
    download = _place(chosen.service_url, "service_url", "CTADS_URL")
    certificates = _place(chosen.certificate_service, "certificate_service_url", "CTACS_URL")
    parts: list[tuple[ServiceName, str, bool]] = [
        ("downloadservice", f"{download}health", True),
        ("storage", f"{download}storage-status", False),
        ("certificateservice", f"{certificates}health", True),
        ("shared certificate", f"{certificates}shared-certificate-status", False),
    ]
    questions: list[Callable[[], ServiceStatus | KeyStatus]] = [
        *(partial(_service, chosen, *part) for part in parts),
        *(partial(_key, chosen, download, key) for key in keys),
    ]
    told = _at_once(questions)
    return ServicesStatus(
        services=tuple(one for one in told if isinstance(one, ServiceStatus)),
        keys=tuple(one for one in told if isinstance(one, KeyStatus)),
    )


def _at_once(questions: Sequence[Callable[[], T]]) -> list[T]:
    """Return the answers to questions, some of which are asked at a time; Ctrl-C waits for none of them."""
    from ctadata_providers.session.tasks import following, in_thread, run, wait

    turns = Semaphore(_AT_ONCE)

    def in_turn(question: Callable[[], T]) -> T:
        with turns:
            return question()

    asked = [in_thread(partial(in_turn, question), asks=True) for question in questions]

    async def answers() -> list[T]:
        return [await wait(following(one)) for one in asked]

    return run(answers())


def _place(url: str | None, setting: str, variable: str) -> str:
    if url is None:
        raise ConfigError(f"there is no {setting}", remedy=f"set {setting} ({variable})")
    return url


def _service(config: Config, name: ServiceName, url: str, needed: bool) -> ServiceStatus:
    from ctadata_providers.certificates.asking import LOGIN_PAGE, OpenSession, Refusal

    made = partial(ServiceStatus, name=name, url=url, needed=needed)
    try:
        said = _asked(OpenSession(config, url), url, name)
    except Refusal as refusal:
        nowhere = refusal.status in (LOGIN_PAGE, 404)  # a hub sends what it does not know to its login page
        return made(well=False, said="there is no such service" if nowhere else f"{refusal.status} {refusal.words}")
    except CtaError as error:
        return made(well=False, said=str(error))
    return made(well=True, said=said)


def _key(config: Config, service_url: str, key: CertificateKey) -> KeyStatus:
    from ctadata_providers.certificates.asking import Refusal, WordySession
    from ctadata_providers.credentials.hub import hub_credential

    # The first element of a path chooses the certificate; what has another one, the root too, is of `arc`.
    url = f"{service_url}list" if key == "arc" else f"{service_url}list/{key}/users"
    made = partial(KeyStatus, key=key)
    try:
        hub_credential(config, service_url)
    except CredentialError as error:
        return made(state="no token", said=error.message, remedy=error.remedy)
    try:
        _asked(WordySession(config, service_url), url, f"the certificate for {key!r}", is_listing=True)
    except Refusal as refusal:
        state, remedy = _meaning(refusal, key)
        return made(state=state, said=f"{refusal.status} {refusal.words}", remedy=remedy)
    except CtaError as error:
        # Of a token that was just refused no more is asked.
        state = "token refused" if isinstance(error, CredentialError) else "unknown"
        return made(state=state, said=error.message, remedy=error.remedy)
    return made(state="works", said="the storage answered")


def _asked(session: "WordySession", url: str, what: str, *, is_listing: bool = False) -> str:
    """Return what a service answers, of a listing nothing.

    Raises:
        Refusal: When it says no.
        CtaError: When it does not answer, or not as a service does, or there is no token for it.
    """
    from ctadata_providers.certificates.asking import is_page, words_of
    from ctadata_providers.session import Request, Response
    from ctadata_providers.session.messages import read_all
    from ctadata_providers.session.services import JSON

    request = Request(method="GET", url=url, path=what, act="ask about", headers={"Content-Type": JSON})
    with closing(session), session.stream(request) as (head, chunks):
        if is_listing:
            body = next((chunk for chunk in chunks if chunk.strip()), b"")  # of a long one no more is read
        else:
            body = read_all(chunks, what, seconds=session.config.timeout, limit=_HEALTH_BYTES)
    if is_page(body) or (is_listing and not body.lstrip().startswith(b"[")):
        raise StorageError(
            f"what answers at {url} is no such service",
            remedy="check service_url and certificate_service_url (CTADS_URL, CTACS_URL)",
        )
    return "" if is_listing else words_of(Response(head.status, head.reason, {}, head.url, body))


def _meaning(refusal: "Refusal", key: CertificateKey) -> tuple[KeyState, str | None]:
    """Return what a refused listing tells of the certificate with which it was asked for."""
    words, status = refusal.words.lower(), refusal.status
    of_storage = words.startswith("error:")  # else it is the service that has no such page, or lets nobody in
    upload = f"ctadata proxy create, then ctadata certificate upload --key {key}"
    if status == 401:
        return "token refused", refusal.remedy
    if status == 400 and "any certificate" in words:
        return "missing", upload
    if status == 400 and "reupload" in words:
        return "expired", upload
    if status == 400 and "certificate" in words:
        return "unusable", f"the shared certificate fails: tell its operators, or give your own ({upload})"
    if status == 403 and "scope" in words:
        return "token refused", "get a hub token with the scope of the downloadservice"
    if status == 404:
        # The storage has answered that there is no such folder.
        return ("works", None) if of_storage else ("unknown", "check service_url (CTADS_URL)")
    if status == 403 and of_storage:
        return "unusable", f"the storage does not let it in: {upload}"
    if status == 500 and not of_storage:
        return "unusable", f"it may lack its key: {upload}; if that does not help, tell the service's operators"
    return "unknown", "try again later; if it stays, tell the service's operators"
