"""A real server as the stage of killed commands."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from ctadata_providers.transfer import is_part
from tests.faults.kills.stages import Kind, on_disk
from tests.servers.server import Server

SIZE = 64 << 20
AGAIN = 128 << 10
NAME = "events.fits"
FOLDER = "/kills"
OLD = b"old one"
PAYLOAD = os.urandom(SIZE)
GET = Kind(("get", f"{FOLDER}/{NAME}", f"LOCAL/{NAME}"), {NAME: SIZE}, True, AGAIN)
PUT = Kind(("put", f"LOCAL/{NAME}", f"{FOLDER}/{NAME}"), {NAME: SIZE}, False, AGAIN)
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

    @property
    def environ(self) -> Mapping[str, str]:
        """What a command needs to reach the server."""
        told = {_VARIABLES[name]: value for name, value in self._server.settings().items() if value}
        return {**told, "XDG_STATE_HOME": str(self._state), "CTA_RETRIES": "3", "CTA_STREAMS": "1"}

    def prepare(self) -> None:
        """Put the new file where it comes from, and an old one where it goes."""
        (self._local / NAME).write_bytes(self._here)
        remote = self._remote / NAME
        if not remote.exists() or remote.stat().st_size != len(self._there):
            self._server.put(f"{FOLDER}/{NAME}", self._there)

    def mark(self) -> int:
        """Return a number that stands for now."""
        return len(self._log())

    def moved(self, since: int) -> int:
        """Return the bytes that the server says to have sent in the last request after a mark, if it says so."""
        told = _SENT.findall(self._log()[since:])
        return int(told[-1]) if told and self.kind.is_down else 0

    def missing(self) -> int:
        """Return the bytes that the next run must move."""
        return SIZE - min(on_disk(self._local, NAME), SIZE) if self.kind.is_down else SIZE

    def _log(self) -> str:
        place = self._server.root.parent / "access.log"
        return place.read_text() if place.exists() else ""

    def _target(self) -> Path:
        return (self._local if self.kind.is_down else self._remote) / NAME

    def _noted(self) -> list[str]:
        """Return what is remembered."""
        notes = (self._state / "ctadata-providers" / "uploads").glob("*.json")
        return [note.read_text() for note in notes]

    def check_killed(self) -> None:
        """Check that the target is old or new."""
        assert self._target().read_bytes() in (OLD, PAYLOAD)

    def check_whole(self) -> None:
        """Check that the target is new, and nothing else is there."""
        left = [place.name for folder in (self._local, self._remote) for place in folder.iterdir()]

        assert self._target().read_bytes() == PAYLOAD
        assert [name for name in left if is_part(name)] == []
        assert self._noted() == []
