"""A real server as the stage of killed commands."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from ctadata_providers.transfer import is_part
from tests.faults.kills.stages import Kind
from tests.servers.server import Server

SIZE = 64 << 20
IN_FLIGHT = 16 << 20
"""Bytes that may lie in the buffers of two sockets and of a server when a process is killed at full speed."""
NAME = "events.fits"
FOLDER = "/kills"
OLD = b"old one"
PAYLOAD = os.urandom(SIZE)
GET = Kind(("get", f"{FOLDER}/{NAME}", f"LOCAL/{NAME}"), {NAME: SIZE}, True, IN_FLIGHT)
PUT = Kind(("put", f"LOCAL/{NAME}", f"{FOLDER}/{NAME}"), {NAME: SIZE}, False, IN_FLIGHT)
_VARIABLES = {
    "door_url": "CTA_DOOR_URL",
    "ca_path": "CTA_CA_PATH",
    "token": "BEARER_TOKEN",
    "proxy_file": "X509_USER_PROXY",
    "trusted_hosts": "CTA_TRUSTED_HOSTS",
}
_SENT = re.compile(r'"GET [^"]*" \d+ (\d+)')


class ServerStage:
    """What `tests.faults.kills.stages.Stage` is for the scripted door.

    Args:
        server: Where the remote files are.
        kind: The command.
        root: A folder of the test.
    """

    def __init__(self, server: Server, kind: Kind, root: Path) -> None:
        self.kind = kind
        self._server = server
        self._state = root / "state"
        self._local = root / "local"
        self._local.mkdir(parents=True)
        self._remote = server.root / FOLDER.lstrip("/")
        self.argv = [part.replace("LOCAL", str(self._local)) for part in kind.argv]
        here, there = (OLD, PAYLOAD) if kind.is_down else (PAYLOAD, OLD)
        self._here, self._there = here, there
        self._logged = 0

    @property
    def environ(self) -> Mapping[str, str]:
        """What a command needs to reach the server."""
        told = {_VARIABLES[name]: value for name, value in self._server.settings().items() if value}
        return {**told, "XDG_STATE_HOME": str(self._state), "CTA_RETRIES": "3"}

    def prepare(self) -> None:
        """Put the new file where it comes from, and an old one where it goes."""
        (self._local / NAME).write_bytes(self._here)
        remote = self._remote / NAME
        if not remote.exists() or remote.stat().st_size != len(self._there):
            self._server.put(f"{FOLDER}/{NAME}", self._there)
        self._logged = len(self._log())

    @property
    def moved(self) -> int:
        """Bytes that the server says to have sent, where it says so."""
        return sum(int(found) for found in _SENT.findall(self._log()[self._logged :]))

    def _log(self) -> str:
        place = self._server.root.parent / "access.log"
        return place.read_text() if place.exists() else ""

    def _target(self) -> Path:
        return (self._local if self.kind.is_down else self._remote) / NAME

    @property
    def is_done(self) -> bool:
        """Whether the target is new."""
        return self._target().stat().st_size == SIZE

    def notes(self) -> list[Path]:
        """Return what is remembered of uploads."""
        return list((self._state / "ctadata-providers" / "uploads").glob("*.json"))

    def check_killed(self) -> None:
        """Check that the target is old or new."""
        assert self._target().read_bytes() in (OLD, PAYLOAD)

    def check_whole(self) -> None:
        """Check that the target is new, and nothing else is there."""
        left = [place.name for folder in (self._local, self._remote) for place in folder.iterdir()]

        assert self._target().read_bytes() == PAYLOAD
        assert [name for name in left if is_part(name)] == []
        assert self.notes() == []
