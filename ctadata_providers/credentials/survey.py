"""What became of each place where a credential may be: for people who wonder which one is used, and why."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from ctadata_providers.config import ENVIRONMENT, Config
from ctadata_providers.credentials.discovery import LOGIN, Candidate, Kind, Skipped, Source, candidates
from ctadata_providers.credentials.hub import services_instead
from ctadata_providers.credentials.resolve import resolve
from ctadata_providers.credentials.tokens import FileToken, FixedToken, Renewable, Token, require_fresh
from ctadata_providers.credentials.x509.certificate import ClientCertificate, ProxyInfo, inspect
from ctadata_providers.errors import ConfigError, CredentialError, CtaError
from ctadata_providers.transport.proxies import proxy_for
from ctadata_providers.transport.trust import check_ca_path, ssl_context, system_bundle, trust

State = Literal["used", "shadowed", "absent", "unusable"]
SOON = 600.0
"""Seconds: a token with less left, which nothing renews, will not last for long work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A place where a credential may be, and what became of it.

    Attributes:
        name: The setting, or what kind of place it is.
        place: The file, variable or account.
        kind: What it gives.
        state: `used`; `shadowed` by one before it; `absent`; `unusable`.
        chosen: Whether it decides: it is used, or nothing is because it is unusable and none may stand in for it.
        refreshable: Whether it can give a new token when one ends or is refused.
        why: The reason when it is unusable or passed over.
        remedy: What to do about it.
    """

    name: str
    place: str
    kind: Kind
    state: State = "absent"
    chosen: bool = False
    refreshable: bool = False
    why: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a door would see of us.

    Attributes:
        found: All places, in their order.
        token: The token that would be sent now.
        certificate: The certificate that would be shown.
        fault: Why there is neither although there should be.
        advice: What to do next.
    """

    found: tuple[Found, ...]
    token: Token | None = None
    certificate: ProxyInfo | None = None
    fault: CtaError | None = None
    advice: str = ""

    @property
    def chosen(self) -> Found | None:
        """The place that decides."""
        return next((place for place in self.found if place.chosen), None)

    @property
    def usable(self) -> bool:
        """Whether there is a credential that can be sent."""
        return self.fault is None and (self.token is not None or self.certificate is not None)


def survey(config: Config) -> list[Found]:
    """Return all places in their order; never raises for what is in them.

    Runs no program and asks no server: whether a renewable source gives a token is known only when it is asked.
    """
    found: list[Found] = []
    decided = False
    for candidate in candidates(config):
        if not (decided and candidate.complains):
            found.append(_look(config, candidate, decided=decided))
            decided = decided or found[-1].chosen
    return found


def report(config: Config) -> Report:
    """Return which credential is used and what it says; asks its source for a token if need be, and never the door."""
    found = tuple(survey(config))
    chosen = next((place for place in found if place.chosen), None)
    try:
        credential = resolve(config)
        token = credential.token()
        shown = credential.certificate
        certificate = inspect(shown.cert_file, shown.key_file, proxy=shown.proxy) if shown else None
    except CtaError as error:
        failed = tuple(_failed(place, error) if place.state == "used" else place for place in found)
        decides = next((place for place in failed if place.chosen), None)
        advice = decides.remedy if decides else _login_advice(config) if _can_log_in(config) else error.remedy
        return Report(found=failed, fault=error, advice=advice or error.remedy or _login_advice(config))
    try:
        check_ca_path(config.ca_path)
        ssl_context(config.ca_path)
    except ConfigError as error:
        return Report(found=found, token=token, certificate=certificate, fault=error, advice=error.remedy or "")
    fault = certificate.fault if certificate else None
    advice = _advice(config, chosen, token, certificate)
    return Report(found=found, token=token, certificate=certificate, fault=fault, advice=advice)


def facts(token: Token, now: float) -> dict[str, Any]:
    """Return what a token says of itself, as JSON can hold it; the token itself is not in it."""
    left = token.life_left(now)
    return {
        "source": token.source,
        "issuer": token.issuer,
        "audience": list(token.audience),
        "scopes": None if token.scopes is None else sorted(token.scopes),
        "subject": token.subject,
        "username": token.username,
        "expires_at": token.expires_at,
        "seconds_left": None if left is None else round(left),
    }


def trusted_places(ca_path: Path | None) -> list[Path]:
    """Return the files and hashed folders of the CAs that servers are checked against."""
    trusted = trust(ca_path)
    if trusted.pem is not None:
        return [system_bundle(), *([ca_path] if ca_path else [])]
    return [*([trusted.file] if trusted.file else []), *trusted.folders]


def shown_proxy(url: str) -> str | None:
    """Return the proxy between us and a server without user and password, None without one."""
    proxy = urlsplit(proxy_for(url))
    return f"{proxy.scheme}://{proxy.netloc.rpartition('@')[2]}" if proxy.netloc else None


def _look(config: Config, candidate: Candidate, *, decided: bool) -> Found:
    place = Found(name=candidate.name, place=candidate.place, kind=candidate.kind)
    try:
        source = candidate.find()
        if source is None:
            return place
        if isinstance(source, Skipped):
            # What is missed is a token that has ended; nothing is wrong with its place.
            return replace(place, state="unusable", why=source.why, remedy=None if source.missed else source.remedy)
        place = _with_future(config, replace(place, refreshable=isinstance(source, Renewable)))
        if decided:
            return replace(place, state="shadowed")
        _try(config, candidate.name, source)
    except CtaError as error:
        return replace(_failed(place, error), chosen=not decided)
    return replace(place, state="used", chosen=True)


def _with_future(config: Config, place: Found) -> Found:
    """Add what is known of a login: whether it can go on, and why its last refresh failed."""
    if place.name != LOGIN:
        return place
    from ctadata_providers.credentials.oidc import sessions

    status = sessions.status(config)
    return place if status is None else replace(place, refreshable=status.refreshable, why=status.failure)


def _failed(place: Found, error: CtaError) -> Found:
    return replace(place, state="unusable", why=error.message, remedy=error.remedy)


def _try(config: Config, name: str, source: Source) -> None:
    """Make sure that a local source gives something that can be sent now."""
    if isinstance(source, ClientCertificate):
        source.check()
    elif isinstance(source, FixedToken | FileToken):
        token = source()
        try:
            require_fresh(token)
        except CredentialError as error:
            raise CredentialError(error.message, remedy=_instead_of_ended(config, name)) from None


def _instead_of_ended(config: Config, name: str) -> str:
    """Return what to do about a token that has ended; as long as it is given, no login is looked for."""
    given = name in ENVIRONMENT and config.given_by(name) == "environment"
    variable = f"unset {ENVIRONMENT[name][0]}, then 'ctadata login'" if given else None
    if name == "token_file":
        keeper = "whoever keeps that file fresh has ended: see 'ctadata agent status'"
        return f"{keeper}; or {variable}" if variable else keeper
    return f"{variable}; or set it to a new token" if variable else f"give another {name}"


def _advice(config: Config, chosen: Found | None, token: Token | None, certificate: ProxyInfo | None) -> str:
    now = time.time()
    if certificate is not None and certificate.fault is not None:
        return certificate.fault.remedy or "make a new proxy with 'ctadata proxy create'"
    if token is None and certificate is None:
        return _login_advice(config)
    left = certificate.life_left(now) if certificate else token.life_left(now) if token else None
    if left is not None and chosen and chosen.name == LOGIN and not chosen.refreshable and chosen.why:
        return f"it ends in {left:.0f} s, and the login cannot go on ({chosen.why}): 'ctadata login' begins another"
    if left is not None and left <= 0 and not (chosen and chosen.refreshable):
        return f"it ended {-left:.0f} s ago by the clock of this machine: {_after_its_end(config, chosen)}"
    if left is not None and left < SOON and not (chosen and chosen.refreshable):
        renewal = "make a new proxy with 'ctadata proxy create'" if certificate else "'ctadata login' gives one that is"
        return f"it ends in {left:.0f} s and is not renewed by itself: {renewal}"
    if left is None and not (chosen and chosen.refreshable):
        return "the token does not tell whether it still lives: 'ctadata doctor --online' asks the door"
    return "nothing, the credential can be used"


def _after_its_end(config: Config, chosen: Found | None) -> str:
    if chosen is None or chosen.kind == "certificate":
        return "make a new proxy with 'ctadata proxy create'"
    return _instead_of_ended(config, chosen.name)


def _can_log_in(config: Config) -> bool:
    return bool(config.issuer and config.client_id and config.ambient_credentials)


def _login_advice(config: Config) -> str:
    if _can_log_in(config):
        instead = services_instead(config)
        return "log in with 'ctadata login'" + (f"; or, {instead}" if instead else "")
    return "name a credential, for example with token_file, or an issuer with client_id for 'ctadata login'"
