"""The poll loop of the device flow (RFC 8628), which Authlib lacks."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ctadata_providers.credentials.oidc.provider import Provider, TokenAnswer, is_safe_url, refusal_of, seconds
from ctadata_providers.errors import CredentialError, TransientError

INTERVAL = 5.0
"""Seconds between polls where the provider tells none, and what `slow_down` adds (RFC 8628, 3.2 and 3.5)."""
SHORTEST_INTERVAL = 0.2
LONGEST_INTERVAL = 60.0
DEFAULT_LIFE = 600.0
LONGEST_CODE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGrant:
    """A login that waits for the user.

    Attributes:
        user_code: What the user enters.
        verification_uri: Where.
        verification_uri_complete: An address that holds the code, None when the provider has none.
        expires_in: Seconds for which the code is good.
        interval: Seconds between polls.
        device_code: What we ask with.
    """

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in: float
    interval: float
    device_code: str = field(repr=False)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a login is not pickled: its code is a secret")


def begin(provider: Provider, scope: str) -> DeviceGrant:
    """Begin a login.

    Raises:
        CredentialError: When the provider has no device flow, refuses, or answers with what cannot be shown.
        TransientError: When it is away.
    """
    answer = provider.begin_device(scope)
    # Some providers wrote verification_url before the standard was one.
    uri = answer.get("verification_uri") or answer.get("verification_url")
    complete = answer.get("verification_uri_complete")
    user_code, device_code = answer.get("user_code"), answer.get("device_code")
    usable = _is_code(user_code) and isinstance(device_code, str) and device_code and is_safe_url(uri)
    if not usable or not (complete is None or is_safe_url(complete)):
        raise CredentialError(
            f"{provider.issuer} began a login with a code or an address that cannot be shown",
            remedy="tell its operators",
        )
    interval = 0.0 if answer.get("interval") == 0 else seconds(answer.get("interval")) or INTERVAL
    return DeviceGrant(
        user_code=str(user_code),
        verification_uri=str(uri),
        verification_uri_complete=complete,
        expires_in=seconds(answer.get("expires_in")) or DEFAULT_LIFE,
        interval=min(max(interval, SHORTEST_INTERVAL), LONGEST_INTERVAL),
        device_code=str(device_code),
    )


def wait(
    provider: Provider,
    grant: DeviceGrant,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> TokenAnswer:
    """Wait until the user has approved the login, and return its tokens.

    A provider that is away is asked less and less often (RFC 8628, 3.5), until the code has expired.

    Raises:
        CredentialError: When the user or the provider refuses, or nobody approves in time.
    """
    deadline = clock() + grant.expires_in
    interval = grant.interval
    while clock() + interval < deadline:
        sleep(interval)
        try:
            return provider.redeem(grant.device_code)
        except CredentialError as error:
            if refusal_of(error) == "slow_down":
                interval += INTERVAL
            elif refusal_of(error) != "authorization_pending":
                raise
        except TransientError as error:
            interval = max(min(2 * interval, LONGEST_INTERVAL), error.retry_after or 0.0)
    raise CredentialError(
        f"nobody approved the login within {grant.expires_in:.0f} s", remedy="log in again, and approve it in time"
    )


def _is_code(code: object) -> bool:
    return isinstance(code, str) and 0 < len(code) <= LONGEST_CODE and code.isascii() and code.isprintable()
