"""What is asked of the kernel for a connection."""

import socket
from contextlib import suppress

UNSENT_BYTES = 128 * 1024
"""Bytes of an upload that may wait in the kernel for their turn. More, megabytes by default, leave the caches of the
processor before they are read again: over loopback an upload takes a tenth longer then. On a long line nothing is lost,
for what is under way does not count (tcp(7), TCP_NOTSENT_LOWAT)."""


def keep_short(fd: int, purpose: int) -> int:
    """Let little wait in the kernel; libcurl's CURLOPT_SOCKOPTFUNCTION. What a system does not know is left out."""
    with suppress(OSError, AttributeError):
        connection = socket.socket(fileno=fd)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        finally:
            connection.detach()
    return 0  # CURL_SOCKOPT_OK
