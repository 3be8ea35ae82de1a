"""What a running server tells its test, and the folder it works in."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import ServerError


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running storage server.

    Attributes:
        name: For messages and test ids, e.g. `xrootd-token`.
        url: Where it listens, without a trailing slash.
        root: The local folder behind `/`; write to it only with `put` and `publish`.
        log: Its log file, if it writes one.
        owner: The user it runs as when the tests run as root, else None.
        ca_file: PEM of the CA that signed its certificate; None for plain http.
        make_token: Mints a bearer token it accepts; None where it takes none.
        proxy_file: An X.509 proxy it accepts; None where it takes none.
        trusted_hosts: Hosts to which its redirects must carry the token.
        version: Of the program, where several are tested.
    """

    name: str
    url: str
    root: Path
    log: Path | None = None
    owner: str | None = None
    ca_file: Path | None = None
    make_token: Callable[..., str] | None = None
    proxy_file: Path | None = None
    trusted_hosts: str = ""
    version: tuple[int, ...] = ()

    def settings(self) -> dict[str, str]:
        """Return the settings of a client that may do everything here, as `Config.from_mapping` takes them."""
        return {
            "door_url": self.url,
            "ca_path": str(self.ca_file or ""),
            "token": self.make_token() if self.make_token else "",
            "proxy_file": str(self.proxy_file or ""),
            "trusted_hosts": self.trusted_hosts,
        }

    def put(self, path: str, data: bytes) -> None:
        """Write a file behind the server's back, readable and writable for the server."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self._hand_over(target)

    def put_sparse(self, path: str, size: int, last: bytes) -> None:
        """Write a file that takes no room on the disk: zeros, and some bytes at its end."""
        self.put(path, b"")
        with (self.root / path.lstrip("/")).open("r+b") as file:
            file.seek(size - len(last))
            file.write(last)

    def put_empty(self, folder: str, names: Iterable[str]) -> None:
        """Make many empty files in one folder, readable for the server."""
        target = self.root / folder.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        self._hand_over(target)
        for name in names:
            (target / name).touch()

    def publish(self, folder: Path, path: str) -> None:
        """Copy a local folder to `path` of the server."""
        shutil.copytree(folder, self.root / path.lstrip("/"), dirs_exist_ok=True)
        self._hand_over(self.root / path.lstrip("/"))

    def _hand_over(self, target: Path) -> None:
        if self.owner is None:
            return
        for entry in (target, *target.rglob("*"), *target.parents):
            if entry.is_relative_to(self.root):
                shutil.chown(entry, self.owner, self.owner)


def service_user(name: str, package: str) -> str | None:
    """Return `name` when we are root and a service must run as somebody else; None when we are not.

    Raises:
        ServerError: There is no such user; names the Debian package that makes it.
    """
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(name)
    except KeyError as error:
        raise ServerError(f"there is no user {name}: the Debian package {package} makes it") from error
    return name


def give_to(owner: str | None, folder: Path) -> None:
    """Make a folder and all in it belong to `owner`, if there is one."""
    if owner is None:
        return
    for entry in (folder, *folder.rglob("*")):
        shutil.chown(entry, owner, owner)


@contextmanager
def work_folder(name: str, *, parent: Path | None = None) -> Iterator[Path]:
    """Yield a fresh folder that a service user can enter, which pytest's own `tmp_path` (0700) is not."""
    with tempfile.TemporaryDirectory(prefix=f"cta-{name}-", dir=parent) as made:
        folder = Path(made)
        folder.chmod(0o755)
        yield folder
