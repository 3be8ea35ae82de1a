"""What all tests stand on."""

import signal


def pytest_configure() -> None:
    """Let Ctrl-C end the processes of the tests, also where a shell has begun the run in the background.

    A shell lets what ends with `&` ignore SIGINT, which its processes inherit (POSIX, section 2.11 of the shell).
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
