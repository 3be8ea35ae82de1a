"""The server that is measured against, and the files on both sides."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.nginx import nginx
from tests.servers.pki import make_pki
from tests.servers.server import Server, work_folder

_BLOCK = 2**20
_SMALL = 10_000
_SHM = Path("/dev/shm")


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running nginx with TLS and the local files of the measurements.

    Attributes:
        server: It; serves `/large.bin` and the folders `/small` and `/warm`.
        folder: Local scratch.
        size: Size of the large file.
        files: Number of small files of 10 kB.
        on_memory: Whether all of it lies on tmpfs.
    """

    server: Server
    folder: Path
    size: int
    files: int
    on_memory: bool

    @property
    def ca_file(self) -> Path:
        """The CA of the server's certificate."""
        assert self.server.ca_file is not None
        return self.server.ca_file

    @property
    def large(self) -> Path:
        """The local large file, to send."""
        return self.folder / "large.bin"

    @property
    def small(self) -> Path:
        """The local folder of small files, to send."""
        return self.folder / "small"

    @property
    def names(self) -> list[str]:
        """The names of the small files."""
        return [f"f{number:06d}.bin" for number in range(self.files)]

    @property
    def received(self) -> Path:
        """Where downloads go."""
        return self.folder / "received"

    @property
    def sent(self) -> Path:
        """Where uploads to `/sent` arrive."""
        return self.server.root / "sent"

    def clear(self) -> None:
        """Remove what the last run moved."""
        shutil.rmtree(self.received, ignore_errors=True)
        shutil.rmtree(self.sent, ignore_errors=True)
        self.received.mkdir()
        self.sent.mkdir()
        if self.server.owner:
            shutil.chown(self.sent, self.server.owner)

    def check_large(self, folder: Path) -> None:
        """Raise unless the large file lies whole in `folder`."""
        found = (folder / "large.bin").stat().st_size
        if found != self.size:
            raise RuntimeError(f"the copy has {found} bytes instead of {self.size}")

    def check_small(self, folder: Path) -> None:
        """Raise unless all small files lie whole somewhere below `folder`."""
        whole = sum(1 for path in folder.rglob("*.bin") if path.stat().st_size == _SMALL)
        if whole != self.files:
            raise RuntimeError(f"{whole} of {self.files} small files arrived")


@contextmanager
def open_site(*, size: int, files: int) -> Iterator[Site]:
    """Start nginx and make the files, on tmpfs if it has room for four copies of everything."""
    needed = 4 * (size + files * 16_384)
    on_memory = _SHM.is_dir() and shutil.disk_usage(_SHM).free > needed and _free_memory() > needed
    parent = _SHM if on_memory else None
    with work_folder("bench", parent=parent) as folder:
        pki = make_pki(folder / "pki")
        with nginx(pki=pki, parent=parent, access_log=False) as server:
            site = Site(server=server, folder=folder, size=size, files=files, on_memory=on_memory)
            _fill(site.large, size)
            site.small.mkdir()
            for name in site.names:
                (site.small / name).write_bytes(os.urandom(_SMALL))
            shutil.copyfile(site.large, server.root / "large.bin")
            server.publish(site.small, "/small")
            server.put("/warm/file", b"warm")
            yield site


def _fill(path: Path, size: int) -> None:
    block = os.urandom(_BLOCK)
    with path.open("wb") as target:
        for start in range(0, size, _BLOCK):
            target.write(block[: size - start])


def _free_memory() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
