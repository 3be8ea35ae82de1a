"""Tokens of the user's running oidc-agent, asked for with its own client `oidc-token`.

liboidcagent has no time-out: after a dead refresh token the agent silently starts a login of its own and blocks for
five minutes, and one stalled provider blocks all its clients. A subprocess can be killed.
"""

import functools
import os
import shutil
import time
from collections.abc import Callable, Mapping

from ctadata_providers.config import Config
from ctadata_providers.credentials.commands import FRESH_SHARE, TIME_OUT, CachedToken, life_of, run
from ctadata_providers.credentials.tokens import Token

PROGRAM = "oidc-token"


def is_running(environ: Mapping[str, str]) -> bool:
    """Tell whether there seems to be an oidc-agent that can be asked."""
    socket = environ.get("OIDC_SOCK")
    return bool(socket and os.path.exists(socket) and shutil.which(PROGRAM, path=environ.get("PATH")))  # noqa: PTH110


def agent_token(config: Config) -> CachedToken:
    """Return the provider of an account's tokens, one for all clients of a process.

    The account is `oidc_account`, else the one that the agent has for the issuer.
    """
    return _shared(os.getpid(), config.oidc_account or config.issuer or "", config.scope, config.audience)


@functools.cache
def _shared(pid: int, account: str, scope: str | None, audience: str | None) -> CachedToken:
    return CachedToken(AgentAccount(account, scope=scope, audience=audience))


class AgentAccount:
    """An account of oidc-agent.

    Args:
        account: Its name, or the issuer.
        scope: What the tokens shall allow; default what the account is for.
        audience: Whom they shall be for; default what the issuer chooses.
        seconds: How long an answer may take.
        clock: Gives the time, epoch seconds.
    """

    def __init__(
        self,
        account: str,
        *,
        scope: str | None = None,
        audience: str | None = None,
        seconds: float = TIME_OUT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._account = account
        self._wishes = [f"--{name}={text}" for name, text in (("scope", scope), ("aud", audience)) if text]
        self._seconds = seconds
        self._clock = clock
        self._life = 0.0

    def __call__(self, rejected: Token | None = None) -> Token:
        """Return a token with a quarter of its life left, another one than the rejected if one is given.

        Raises:
            CredentialError: When the agent gives none in time.
        """
        if rejected is not None:
            return self._token("--force-new")
        token = self._token()
        left = token.life_left(self._clock())
        if left is not None and left < int(FRESH_SHARE * self._life):  # the first answer tells how long they live
            token = self._token()
        return token

    def _token(self, *options: str) -> Token:
        # Asked for more than a token's whole life, the agent would get a new one each time.
        seconds = int(FRESH_SHARE * self._life)
        source = f"oidc-agent's account {self._account}"
        argv = [
            PROGRAM,
            "--name",
            "ctadata-providers",
            "-t",
            str(seconds),
            *options,
            *self._wishes,
            "--",
            self._account,
        ]
        remedy = f"see what 'oidc-token {self._account}' says; perhaps 'oidc-gen --reauthenticate {self._account}'"
        if not os.environ.get("OIDC_SOCK"):
            remedy = f"no oidc-agent is known here (OIDC_SOCK): start one, then 'oidc-add {self._account}'"
        token = Token.parse(run(argv, source=source, seconds=self._seconds, remedy=remedy), source=source)
        self._life = life_of(token, self._clock())
        return token
