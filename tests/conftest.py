"""What all tests stand on."""

import os
import signal
from pathlib import Path

from ctadata_providers.credentials import discovery


def pytest_configure() -> None:
    """Keep what is the user's own out of the tests, and let Ctrl-C end their processes, also in the background.

    A shell lets what ends with `&` ignore SIGINT, which its processes inherit (POSIX, section 2.11 of the shell).
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    discovery.SHARED_FOLDER = Path(os.devnull)  # in /tmp may be a token and a proxy of whoever runs the tests
