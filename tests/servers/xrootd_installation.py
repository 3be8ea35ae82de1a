"""Where XRootD's programs and plugins are: Debian's own, or another installation beside it."""

import os
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.servers.process import ServerError, program

SERVER_PACKAGE = "xrootd-server"
_LIBRARIES = ("usr/lib/*-linux-gnu", "usr/lib64", "lib64", "lib")


@dataclass(frozen=True)
class Installation:
    """One installed XRootD.

    Attributes:
        folder: Root of an unpacked system or prefix that holds it, e.g. of Debian packages taken apart by
            `dpkg-deb -x`; None for that of the machine.
    """

    folder: Path | None = None

    def command(self, name: str) -> list[str]:
        """Return the command that runs one of its programs.

        Programs of an unpacked system run by that system's own loader and libraries.

        Raises:
            ServerError: It is not there.
        """
        if self.folder is None:
            return [program(name, SERVER_PACKAGE)]
        binary = next((self.folder / place / name for place in ("usr/bin", "bin") if self._has(place, name)), None)
        if binary is None:
            raise ServerError(f"there is no {name} in {self.folder} (CTA_TEST_XROOTD)")
        loader = next(
            (found for place in ("lib64", "lib") for found in self.folder.glob(f"{place}/ld-linux*.so.*")), None
        )
        if loader is None:
            return [str(binary)]
        libraries = ":".join(str(path) for path in self._libraries(self.folder))
        return [str(loader), "--library-path", libraries, str(binary)]

    @property
    def version(self) -> tuple[int, ...]:
        """The version, e.g. (5, 5, 3)."""
        return _version(tuple(self.command("xrootd")))

    def require_plugin(self, name: str, package: str) -> None:
        """Make sure that a plugin is there; the number in its file name is that of XRootD's plugin interface.

        Raises:
            ServerError: It is not; names the Debian package.
        """
        if not any(next(place.glob(f"{name}-*.so"), None) for place in self._libraries(self.folder or Path("/"))):
            raise ServerError(f"XRootD's {name} is not installed: it is in the Debian package {package}")

    def _has(self, place: str, name: str) -> bool:
        return self.folder is not None and (self.folder / place / name).is_file()

    @staticmethod
    def _libraries(root: Path) -> list[Path]:
        return [path for pattern in _LIBRARIES for path in root.glob(pattern)]


OWN = Installation()


def newer() -> Installation | None:
    """Return the installation that CTA_TEST_XROOTD names, to be tested beside the machine's own."""
    folder = os.environ.get("CTA_TEST_XROOTD")
    return Installation(Path(folder)) if folder else None


@cache
def _version(command: tuple[str, ...]) -> tuple[int, ...]:
    answer = subprocess.run([*command, "-v"], capture_output=True, text=True, check=True)
    return tuple(int(number) for number in re.findall(r"\d+", answer.stdout + answer.stderr)[:3])
