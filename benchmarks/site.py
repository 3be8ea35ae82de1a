"""The server that is measured against, and the files on both sides."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from zlib_ng.zlib_ng import adler32

from benchmarks.programs import NOT_INSTALLED, CannotRun, has
from tests.servers.nginx import nginx
from tests.servers.pki import Pki, make_pki
from tests.servers.server import Server, work_folder
from tests.servers.xrootd import xrootd

Kind = Literal["nginx", "XRootD"]
SMALL = 10_000
_BLOCK = 2**20
_SHM = Path("/dev/shm")


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running server with TLS and the local files of the measurements.

    Attributes:
        kind: Which server; XRootD wants the user's certificate.
        server: It; serves `/large.bin` and the folder `/small`.
        url: Where tools reach it.
        folder: Local scratch.
        pki: Host, user and CA.
        size: Size of the large file.
        files: Number of small files of 10 kB.
        on_memory: Whether all of it lies on tmpfs.
    """

    kind: Kind
    server: Server
    url: str
    folder: Path
    pki: Pki
    size: int
    files: int
    on_memory: bool
    _sums: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def where(self) -> str:
        """What the files lie on."""
        return "tmpfs" if self.on_memory else "disk"

    @property
    def ca_file(self) -> Path:
        """The CA of the server's certificate."""
        return self.pki.ca_file

    @property
    def ca_folder(self) -> Path:
        """The same as a folder with OpenSSL's hashed names, as grid tools want it.

        Raises:
            CannotRun: There is no openssl to make it.
        """
        folder = self.folder / "hashed"
        if not has("openssl"):
            raise CannotRun(f"openssl {NOT_INSTALLED}")
        if not folder.exists():
            folder.mkdir()
            asked = ["openssl", "x509", "-in", str(self.ca_file), "-noout", "-hash"]
            answer = subprocess.run(asked, capture_output=True, text=True, check=True)
            shutil.copyfile(self.ca_file, folder / f"{answer.stdout.strip()}.0")
        return folder

    @property
    def certificate(self) -> tuple[Path, Path] | None:
        """Certificate and key of the user, where the server wants them."""
        return (self.pki.user_cert, self.pki.user_key) if self.kind == "XRootD" else None

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
        """Raise unless the large file lies whole and right in `folder`."""
        self._check(folder / "large.bin", self.large)

    def check_small(self, folder: Path, *, count: int | None = None) -> None:
        """Raise unless the small files, or the first `count`, lie whole and right somewhere below `folder`."""
        wanted = self.names[:count]
        found = {path.name: path for path in folder.rglob("*.bin")}
        if sorted(found) != wanted:
            raise CannotRun(f"{len(found)} of {len(wanted)} small files arrived")
        for name, path in found.items():
            self._check(path, self.small / name)

    def sum_of(self, original: Path) -> int:
        """Return the adler32 of a file that does not change."""
        key = str(original)
        if key not in self._sums:
            self._sums[key] = _adler32(original)
        return self._sums[key]

    def _check(self, copy: Path, original: Path) -> None:
        size, wanted = copy.stat().st_size, original.stat().st_size
        if size != wanted:
            raise CannotRun(f"{copy.name} has {size} bytes instead of {wanted}")
        if _adler32(copy) != self.sum_of(original):
            raise CannotRun(f"{copy.name} has other bytes than were sent")


@contextmanager
def open_site(
    kind: Kind = "nginx", *, size: int, files: int, room: int = 0, access_log: bool = False
) -> Iterator[Site]:
    """Start a server and make the files, on tmpfs if it has room for four copies of everything and `room` bytes."""
    parent = memory_folder(4 * (size + files * 16_384) + room)
    with work_folder("bench", parent=parent) as folder:
        pki = make_pki(folder / "pki")
        running = (
            nginx(pki=pki, parent=parent, access_log=access_log, extra="autoindex on;")
            if kind == "nginx"
            else xrootd("x509", pki=pki, parent=parent, extra="http.trace none")
        )
        with running as server:
            site = Site(
                kind=kind,
                server=server,
                url=server.url,
                folder=folder,
                pki=pki,
                size=size,
                files=files,
                on_memory=parent is not None,
            )
            _make_files(site)
            if parent is not None:
                _touch(folder / "touched", 3 * size)
            yield site


def memory_folder(needed: int) -> Path | None:
    """Return a folder on tmpfs if it has room for so many bytes."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    roomy = _SHM.is_dir() and shutil.disk_usage(_SHM).free > needed and free > needed
    return _SHM if roomy else None


def _make_files(site: Site) -> None:
    _fill(site.large, site.size)
    site.small.mkdir()
    for name in site.names:
        (site.small / name).write_bytes(os.urandom(SMALL))
    shutil.copyfile(site.large, site.server.root / "large.bin")
    if site.server.owner:  # XRootD keeps the checksum with a file that it may write, as with all that it was sent
        shutil.chown(site.server.root / "large.bin", site.server.owner)
    site.server.publish(site.small, "/small")


def _touch(path: Path, size: int) -> None:
    """Write and remove a file: a virtual machine gets its memory at the first touch, which slows the first runs."""
    _fill(path, size)
    path.unlink()


def _fill(path: Path, size: int) -> None:
    block = os.urandom(_BLOCK)
    with path.open("wb") as target:
        for start in range(0, size, _BLOCK):
            target.write(block[: size - start])


def _adler32(path: Path) -> int:
    value = 1
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            value = adler32(block, value)
    return value
