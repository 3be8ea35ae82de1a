"""Start the agent, for callers who see what is written on stderr."""

import sys
from functools import partial
from typing import TYPE_CHECKING

from ctadata_providers.config import Config
from ctadata_providers.credentials.agent import control
from ctadata_providers.errors import ConfigError

if TYPE_CHECKING:
    from ctadata_providers.credentials.oidc.device import DeviceGrant


def start(config: Config) -> None:
    """Start the agent of some settings; one that runs already is left alone.

    Raises:
        CtaError: As `control.start` says.
    """
    try:
        target = control.ctadata_target(config)
    except ConfigError:
        target = None  # another door: the file that token discovery finds
    if target is not None:
        control.make_folder(target)
    control.start(config, target, log_in=partial(_log_in, config) if config.issuer else None)


def _log_in(config: Config) -> None:
    from ctadata_providers.credentials.oidc import sessions

    sessions.log_in(config, None, _show)


def _show(grant: "DeviceGrant") -> None:
    """Tell where to approve the login; a notebook shows what is written here."""
    address = grant.verification_uri_complete
    sys.stderr.write(f"To log in, open {grant.verification_uri} and enter {grant.user_code}\n")
    sys.stderr.write(f"or open {address}\n" if address else "")
    sys.stderr.flush()
