"""Answers to small messages that never end."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from ctadata_providers import CtaClient, TransientError


@pytest.fixture
def dripping_door() -> Iterator[str]:
    """A door that announces a long answer and sends a byte of it now and then."""
    gone = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 207 Multi-Status\r\nContent-Length: 100000\r\n\r\n")
                while not gone.wait(0.02):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        gone.set()
        thread.join()


def test_an_answer_that_drips_for_ever_is_ended(dripping_door: str) -> None:
    begin = time.monotonic()

    with pytest.raises(TransientError, match="no end"):
        CtaClient(door_url=dripping_door, timeout=0.1, retries=0).stat("/lst/x")

    assert time.monotonic() - begin < 5
