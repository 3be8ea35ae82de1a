"""A proxy on this machine, whose URL holds a password."""

import socket
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """A proxy that knows CONNECT and plain forwarding to nowhere; a context manager."""

    asked: list[str] = field(default_factory=list)
    refuse: bool = False
    broken: int = 0
    """So many tunnels end as soon as they are open: the server behind them is away."""

    def __enter__(self) -> "Proxy":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://alice:wonderland-0123@127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), closing(client):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            self.asked.append(f"{method} {target} {b'Proxy-Authorization' in head}")
            if self.refuse or method != "CONNECT":
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            if self.broken:
                self.broken -= 1
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                client.recv(4096)  # the greeting of TLS
                return
            with socket.create_connection(("127.0.0.1", urlsplit(f"//{target}").port or 443)) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join(5)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
