"""Debian's oidc-agent, with accounts that are made without a browser."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.process import ServerError, program, running

PACKAGE = "oidc-agent-cli"


@dataclass(frozen=True, kw_only=True)
class OidcAgent:
    """A running agent.

    Attributes:
        pid: Its process.
        socket: Where it is reached; `OIDC_SOCK` of its clients.
        environ: The environment of its clients.
    """

    pid: int
    socket: Path
    environ: dict[str, str] = field(repr=False)

    def add(self, account: str, *, issuer: str, client_id: str, refresh_token: str, ca_file: Path | None) -> None:
        """Make an account of a login that has been made elsewhere, at a public client."""
        made = subprocess.run(
            [
                *(program("oidc-gen", PACKAGE), "--flow=refresh", "--rt-env", "--pw-env", "--prompt=none"),
                *("--iss", issuer, "--client-id", client_id, "--client-secret", ""),
                *("--scope", "openid offline_access", "--confirm-default", "--confirm-yes"),
                *(("--cp", str(ca_file)) if ca_file else ()),
                account,
            ],
            env={**self.environ, "OIDC_REFRESH_TOKEN": refresh_token, "OIDC_ENCRYPTION_PW": "any"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
        if made.returncode:
            raise ServerError(f"oidc-gen could not make an account:\n{made.stdout}\n{made.stderr}")


@contextmanager
def oidc_agent(folder: Path) -> Iterator[OidcAgent]:
    """Run an agent whose configuration and socket are in a folder."""
    socket = folder / "socket"
    environ = {**os.environ, "OIDC_CONFIG_DIR": str(folder), "OIDC_SOCK": str(socket)}
    argv = [program("oidc-agent", PACKAGE), "--console", "--socket-path", str(socket)]
    with running(argv, log=folder / "agent.log", ready=socket.exists, environ=environ) as pid:
        yield OidcAgent(pid=pid, socket=socket, environ=environ)
