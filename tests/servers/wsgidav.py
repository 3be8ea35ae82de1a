"""WsgiDAV on cheroot: a real server that needs no Debian package.

It runs in a process of its own, `python -m tests.servers.wsgidav FOLDER PORT`, so that a wire can be cut on one side
and what it does not close is not held against the tests.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp  # type: ignore[import-untyped]  # it ships no types

from tests.servers.process import free_port, port_answers, running
from tests.servers.server import Server, work_folder

_ROOT = Path(__file__).parents[2]


@contextmanager
def wsgidav() -> Iterator[Server]:
    """Serve an empty folder without asking for a credential.

    Raises:
        ServerError: It does not come up.
    """
    port = free_port()
    with work_folder("wsgidav") as folder:
        root = folder / "data"
        root.mkdir()
        argv = [sys.executable, "-m", __name__, str(root), str(port)]
        with running(argv, log=folder / "wsgidav.log", ready=partial(port_answers, port), cwd=_ROOT):
            yield Server(name="wsgidav", url=f"http://localhost:{port}", root=root, log=folder / "wsgidav.log")


def main(root: str, port: str) -> None:
    """Serve a folder on a port until the process is ended."""
    app = WsgiDAVApp(
        {
            "provider_mapping": {"/": root},
            "simple_dc": {"user_mapping": {"*": True}},
            "lock_storage": True,
            "property_manager": True,
            "verbose": 1,
            "logging": {"enable": False},
        }
    )
    wsgi.Server(("127.0.0.1", int(port)), app, numthreads=16).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
