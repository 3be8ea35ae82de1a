"""OpenSSH as an SFTP server on a loopback port, for the user that runs it, with a key of its own."""

import getpass
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import free_port, port_answers, program, running
from tests.servers.server import work_folder

_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True, kw_only=True)
class Sftp:
    """A running server.

    Attributes:
        port: Where it listens.
        user: Whom it lets in.
        key: With this private key.
        root: An empty folder.
    """

    port: int
    user: str
    key: Path
    root: Path


@contextmanager
def sftp() -> Iterator[Sftp]:
    """Run OpenSSH and yield how it is reached.

    Raises:
        ServerError: It is not installed, or does not come up.
    """
    sshd, port = program("sshd", "openssh-server"), free_port()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it refuses to run as root without
    with work_folder("sftp") as folder:
        for name in ("host_key", "user_key"):
            made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(made, check=True, capture_output=True)
        (folder / "sshd_config").write_text(_CONFIG.format(port=port, folder=folder))
        (folder / "root").mkdir()
        argv = [sshd, "-D", "-e", "-f", str(folder / "sshd_config")]
        with running(argv, log=folder / "sshd.log", ready=lambda: port_answers(port)):
            yield Sftp(port=port, user=getpass.getuser(), key=folder / "user_key", root=folder / "root")
