"""Proxies are delegated to the certificateservice, so that the downloadservice can act for its users."""

import json
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ctadata_providers.certificates.proxies import Delegable, delegable
from ctadata_providers.config import Config
from ctadata_providers.errors import (
    ConfigError,
    CredentialError,
    CtaError,
    PermissionDeniedError,
    StorageError,
)

if TYPE_CHECKING:
    from ctadata_providers.certificates.asking import Refusal
    from ctadata_providers.credentials.x509.certificate import ProxyInfo

CertificateKey = Literal["lst", "cta", "arc"]
"""What a proxy is for: paths below `/lst`, below `/cta`, or all others, the root among them."""
KEYS: tuple[CertificateKey, ...] = get_args(CertificateKey)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedCertificate:
    """A proxy that the certificateservice has.

    Attributes:
        path: The file that it was made of.
        identity: The user that it stands for, as grid-mapfiles have it.
        key: What it is for; None for the shared one.
        user: Whose it is at the service; None for who has given it.
        expires_at: When it ends, epoch seconds: as the service says, else as it says itself.
        message: What the service said.
        validity: The end in the words of the service, None when it does not tell.
    """

    path: Path
    identity: str
    key: CertificateKey | None
    user: str | None
    expires_at: float
    message: str
    validity: str | None


def upload_personal(
    path: str | Path,
    key: CertificateKey = "cta",
    *,
    user: str | None = None,
    config: Config | None = None,
    now: float | None = None,
) -> UploadedCertificate:
    """Give a proxy to the certificateservice, for all that the downloadservice is then asked to do for its user.

    It is looked at first (`check_proxy` with `upload`), and only a proxy that is good is sent: its certificates and its
    key, never those of a long-lived certificate.

    Args:
        path: The proxy.
        key: What it is for.
        user: Whose it is at the service, for administrators; default whose the hub token is.
        config: The settings; default those of profile and environment.
        now: Epoch seconds; default the clock's.

    Raises:
        ConfigError: For an unknown key, or when no certificateservice is known.
        CredentialError: When the proxy cannot be given away, is not taken, or the hub token is missing or refused.
        PermissionDeniedError: When the token lacks the scope of the service.
        StorageError: When the service fails, or does not know the key.
        TransientError: When it is away.
    """
    require_key(key)
    if user is not None and not user.strip():
        raise ConfigError("an empty text is no user", remedy="leave it out for yourself")
    service = _Service(config or Config.from_env())
    proxy = delegable(path, now=now)
    content = {"certificate_key": key, "user": user}
    who_may = "ask its operators for access" if user is None else "only administrators may give it for others"
    answer = service.post("certificate", content, proxy, what=f"your certificate for {key!r}", who_may=who_may)
    validity = answer.get("validity")
    if not isinstance(validity, str):
        raise service.not_stored(validity, proxy.info)
    return _uploaded(answer, proxy.info, key=key, user=user)


def upload_shared(path: str | Path, *, config: Config | None = None, now: float | None = None) -> UploadedCertificate:
    """Give the certificateservice the proxy of a robot, which serves users without one of their own.

    Args:
        path: The proxy.
        config: The settings; default those of profile and environment.
        now: Epoch seconds; default the clock's.

    Raises:
        ConfigError: When no certificateservice is known.
        CredentialError: When the proxy cannot be given away, is not taken, or the hub token is missing or refused.
        PermissionDeniedError: When one may not do that.
        StorageError: When the service fails.
        TransientError: When it is away.
    """
    service = _Service(config or Config.from_env())
    proxy = delegable(path, now=now)
    what = "the shared certificate"
    who_may = f"{what} may be given by administrators only"
    answer = service.post("main-certificate", {}, proxy, what=what, who_may=who_may)
    if answer.get("certificateUploaded") is not True and not isinstance(answer.get("validity"), str):
        raise service.not_stored(answer.get("validity"), proxy.info)
    return _uploaded(answer, proxy.info, key=None, user=None)


def require_key(key: str) -> None:
    """See that there are certificates of a kind.

    Raises:
        ConfigError: When there are not.
    """
    if key not in KEYS:
        raise ConfigError(f"there is no certificate for {key!r}", remedy=f"give one of {', '.join(KEYS)}")


class _Service:
    """The certificateservice under some settings."""

    def __init__(self, config: Config) -> None:
        self._config = config
        if config.certificate_service is None:
            raise ConfigError("no certificateservice is known", remedy="set certificate_service_url (CTACS_URL)")
        self.url = config.certificate_service

    def post(self, route: str, content: dict[str, Any], proxy: Delegable, *, what: str, who_may: str) -> dict[str, Any]:
        """Send a proxy, again after a transient fault, and return what is answered.

        Args:
            route: Where to.
            content: What is told of it.
            proxy: The proxy.
            what: What it is, for messages.
            who_may: What to do where one may not.

        Raises:
            CtaError: What a refusal means.
        """
        from ctadata_providers.certificates.asking import Refusal, UploadSession
        from ctadata_providers.session import Request
        from ctadata_providers.session.services import JSON

        info = proxy.info
        request = Request(
            method="POST",
            url=self.url + route,
            path=str(info.path),
            act="upload",
            headers={"Content-Type": JSON},
            body=json.dumps({"certificate": proxy.pem.decode("ascii"), **content}).encode(),
            retried=False,
        )
        with closing(UploadSession(self._config, self.url)) as session:

            def once() -> bytes:
                try:
                    return session.message(request).body
                except Refusal as refusal:
                    raise self._explained(refusal, info, what, who_may) from refusal

            body = session.policy.call(once)
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise StorageError(
                f"{self.url} does not answer as the certificateservice does: it is not known whether it has {what}",
                path=info.path,
                remedy="check certificate_service_url (CTACS_URL)",
            )
        return answer

    def not_stored(self, validity: object, info: "ProxyInfo") -> CtaError:
        """Return the error of an answer that passes for a success: its validity is a refusal, `[text, status]`."""
        told = validity if isinstance(validity, list) and len(validity) == 2 else [None, None]
        words = str(told[0] or "it tells no validity")
        message = f"{self.url} has not stored {info.path}: {_line(words)}"
        if isinstance(told[1], int) and told[1] >= 500:
            return StorageError(message, path=info.path, status=told[1], remedy="tell the service's operators")
        return CredentialError(message, path=info.path, remedy=_remedy(words))

    def _explained(self, refusal: "Refusal", info: "ProxyInfo", what: str, who_may: str) -> CtaError:
        """Return what a refusal of an upload means."""
        said = f"{refusal.status} {refusal.words}".strip()
        message = f"cannot upload {info.path}: {self.url} answered {said}"
        match refusal.status:
            case 400:
                return CredentialError(message, path=info.path, remedy=_remedy(refusal.words))
            case 401:
                return CredentialError(
                    f"cannot upload {info.path}: {self.url} refuses the hub token", path=info.path, remedy=self._token()
                )
            case 403:
                remedy = self._token() if "scope" in refusal.words else who_may
                message = f"cannot upload {info.path}: {self.url} says {refusal.words}"
                return PermissionDeniedError(message, path=info.path, status=403, remedy=remedy)
            case 404 | 405:
                remedy = "check certificate_service_url (CTACS_URL)"
                return StorageError(message, path=info.path, status=refusal.status, remedy=remedy)
            case 500:
                # Also for a key or user that it does not want; so it is not tried again.
                remedy = f"it may not take {what}: try another key, or tell its operators"
                return StorageError(message, path=info.path, status=500, remedy=remedy)
        return refusal.meant

    def _token(self) -> str:
        from ctadata_providers.credentials.hub import new_token

        return f"{new_token(self._config, self.url)} as JUPYTERHUB_API_TOKEN"


def _uploaded(
    answer: dict[str, Any], info: "ProxyInfo", *, key: CertificateKey | None, user: str | None
) -> UploadedCertificate:
    validity, message = answer.get("validity"), answer.get("message")
    told = _time(validity) if isinstance(validity, str) else None
    return UploadedCertificate(
        path=info.path,
        identity=info.identity,
        key=key,
        user=user,
        expires_at=info.expires_at if told is None else told,
        message=_line(message) if isinstance(message, str) else "",
        validity=_line(validity) if isinstance(validity, str) else None,
    )


def _time(text: str) -> float | None:
    """Return a time as a service writes it, in epoch seconds."""
    from ctadata_providers.session.status import http_time

    told = http_time(text)
    if told is not None:
        return told
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _remedy(words: str) -> str:
    """Return what to do about a proxy that a service does not take."""
    if "too long" in words:
        return "make a shorter one: ctadata proxy create --hours 12"
    if "expired" in words:
        return "make a new one: ctadata proxy create"
    if "chain" in words:
        return "make one of a certificate whose authority the data centre knows"
    return "make a new one: ctadata proxy create; 'ctadata proxy info FILE' tells what it is"


def _line(text: str) -> str:
    from ctadata_providers.session.status import scrubbed

    return scrubbed(text)
