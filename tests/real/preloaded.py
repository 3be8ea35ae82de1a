"""Programs under another system: names that come and go, a clock that is set."""

from pathlib import Path

from tests.servers.process import ServerError

FAKETIME = ("faketime/libfaketimeMT.so.1", "libfaketime")
_LIBRARIES = Path("/usr/lib")


def library(name: str, package: str) -> str:
    """Return the path of a library to preload.

    Raises:
        ServerError: It is not installed; names the Debian package.
    """
    found = next(_LIBRARIES.glob(f"*-linux-gnu*/{name}"), None)
    if found is None:
        raise ServerError(f"{name} is not installed: it is in the Debian package {package} (make test-real)")
    return str(found)


class Hosts:
    """The names that a program knows: an /etc/hosts of its own, over that of the machine.

    Args:
        place: Where the file is.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self.know()

    @property
    def under(self) -> list[str]:
        """The command that runs a program so; it needs no rights, where users may have namespaces."""
        mount = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, str(self._place)]

    def know(self, *names: str) -> None:
        """Let these names lead to this machine, and no others; in place, for a mount holds on to the file."""
        self._place.write_text("".join(f"127.0.0.1 {name}\n" for name in names))
