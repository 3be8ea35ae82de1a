"""Programs under another system: names that come and go (nss_wrapper), a clock that is set (libfaketime)."""

import os
from itertools import count
from pathlib import Path

from tests.servers.process import ServerError

NSS_WRAPPER = ("libnss_wrapper.so", "libnss-wrapper")
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
    """The names that a program knows, as in /etc/hosts.

    Args:
        place: Where the file is.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._changes = count(1_000_000_000)
        self.know()

    @property
    def environ(self) -> dict[str, str]:
        """What a program needs to look here."""
        return {"LD_PRELOAD": library(*NSS_WRAPPER), "NSS_WRAPPER_HOSTS": str(self._place)}

    def know(self, *names: str) -> None:
        """Let these names lead to this machine, and no others."""
        new = self._place.with_name("new-hosts")
        new.write_text("".join(f"127.0.0.1 {name}\n" for name in names))
        changed = next(self._changes)
        os.utime(new, (changed, changed))  # it is read anew when its time has changed, to the second
        new.replace(self._place)
