"""WsgiDAV on cheroot in a thread of this process: a real server that needs no Debian package."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cheroot import wsgi
from cheroot.server import HTTPConnection
from cheroot.ssl.builtin import BuiltinSSLAdapter
from wsgidav.wsgidav_app import WsgiDAVApp  # type: ignore[import-untyped]  # it ships no types

from tests.servers.pki import Pki
from tests.servers.server import Server, work_folder

_PATIENCE = 10.0


class _Connection(HTTPConnection):
    """Throws away what an interrupted client did not take; from 3.13 Python complains of it when it collects."""

    def close(self) -> None:
        super().close()
        if not self.linger:
            with suppress(OSError):
                self.wfile.close()


@contextmanager
def wsgidav(*, pki: Pki | None = None) -> Iterator[Server]:
    """Serve an empty folder without asking for a credential; with TLS if `pki` is given."""
    with work_folder("wsgidav") as folder:
        root = folder / "data"
        root.mkdir()
        app = WsgiDAVApp(
            {
                "provider_mapping": {"/": str(root)},
                "simple_dc": {"user_mapping": {"*": True}},
                "lock_storage": True,
                "property_manager": True,
                "verbose": 1,
                "logging": {"enable": False},
            }
        )
        server = wsgi.Server(("127.0.0.1", 0), app, numthreads=16, shutdown_timeout=1)
        server.ConnectionClass = _Connection
        if pki:
            server.ssl_adapter = BuiltinSSLAdapter(str(pki.host_cert), str(pki.host_key))
        server.prepare()
        thread = threading.Thread(target=server.serve, name="wsgidav", daemon=True)
        thread.start()
        try:
            yield Server(
                name="wsgidav-tls" if pki else "wsgidav",
                url=f"{'https' if pki else 'http'}://localhost:{server.bind_addr[1]}",
                root=root,
                ca_file=pki.ca_file if pki else None,
            )
        finally:
            server.stop()
            thread.join(_PATIENCE)
