"""Airflow for tests: a throw-away home, connections from the environment, a database only where a DAG runs."""

import atexit
import json
import os
import shutil
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="cta-airflow-")).resolve()
(AIRFLOW_HOME / "dags").mkdir()
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)
# Before the first "import airflow", which reads them.
os.environ.update(
    {
        "AIRFLOW_HOME": str(AIRFLOW_HOME),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__OPENLINEAGE__DISABLED": "True",
    }
)

AIRFLOW_WARNINGS = [
    # svcs, which Airflow's in-process API server needs, imports FastAPI's test client.
    "ignore:Using `httpx` with `starlette.testclient` is deprecated",
]

StoreConnection = Callable[..., None]
RunDag = Callable[[Any], Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let pass, in this folder, what Airflow itself warns of."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for warning in AIRFLOW_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture
def airflow_home() -> Path:
    """Return the home of this process's Airflow."""
    return AIRFLOW_HOME


@pytest.fixture
def store_connection(monkeypatch: pytest.MonkeyPatch) -> StoreConnection:
    """Return a function that stores a connection: by name, and its URI or the fields of its JSON."""

    def store(conn_id: str, *, uri: str | None = None, **fields: Any) -> None:
        text = uri if uri is not None else json.dumps({"conn_type": "cta", **fields})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)

    return store


@pytest.fixture
def as_logged() -> Callable[[str], str]:
    """Return a function that gives what a task log of Airflow shows of a text."""
    from airflow.sdk.log import mask_logs

    return lambda text: str(mask_logs(None, "info", {"event": text})["event"])


@pytest.fixture
def cta_default(fake_cta: Any, store_connection: StoreConnection) -> Any:
    """Return a data centre that the connection `cta_default` describes."""
    extra = {"door_url": fake_cta.door_url, "ca_path": str(fake_cta.ca_file), "retries": 1}
    store_connection("cta_default", password=fake_cta.token, extra=extra)
    return fake_cta


@pytest.fixture(scope="module")
def site_server() -> Iterator[Any]:
    """Return a second data centre."""
    from ctadata_providers.testing import FakeCta

    with FakeCta(markers=0.05, bans=False) as cta:
        yield cta


@pytest.fixture
def site(cta_default: Any, site_server: Any, store_connection: StoreConnection) -> Any:
    """Return a data centre, empty, that the connection `site` describes; `cta_default` and it copy from each other."""
    site_server.reset()
    for name, cta in {"cta_default": cta_default, "site": site_server}.items():
        extra = {"door_url": cta.door_url, "ca_path": str(cta.ca_file), "retries": 0, "copy_hosts": "localhost"}
        store_connection(name, password=cta.token, extra=extra)
    return site_server


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a storage of another provider, empty; files of some MB count as large."""
    from airflow.sdk.io.store import _STORE_CACHE, attach
    from airflow_provider_cta.transfers import places, streams

    from tests.airflow.shelf import Shelf

    monkeypatch.setattr(streams, "BLOCK", 1_000_000)
    monkeypatch.setattr(places, "BLOCK", 1_000_000)
    made = Shelf()
    attach("memory", fs=made)
    yield made
    made.store.clear()
    made.pseudo_dirs[:] = [""]
    monkeypatch.setattr(Shelf, "room", None)
    monkeypatch.setattr(Shelf, "on_write", None)
    _STORE_CACHE.clear()


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Make an empty metadata database."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def write_dag(airflow_database: None) -> Callable[[Any], None]:
    """Return a function that writes a DAG to the database, as the DAG processor does with those in files."""

    def write(dag: Any) -> None:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.serialization.definitions.dag import SerializedDAG
        from airflow.serialization.serialized_objects import LazyDeserializedDAG

        DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]  # Airflow's
        SerializedDAG.bulk_write_to_db("dags-folder", None, [dag])
        SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(dag), bundle_name="dags-folder")

    return write


@pytest.fixture
def run_dag(write_dag: Callable[[Any], None]) -> RunDag:
    """Return a function that runs a DAG in this process and returns its run."""

    def run(dag: Any) -> Any:
        write_dag(dag)
        return dag.test()

    return run


class SmallDoor(ThreadingHTTPServer):
    """A door with one file, for what `FakeCta` does not do: ask for client certificates, stall in a body.

    Attributes:
        body: What the file holds.
        clients: The common name of the client certificate of each request.
        stall: Called once when half of the body was sent; the other half follows after `go_on`.
        go_on: Set it to let a stalled body go on.
    """

    daemon_threads = True
    body = b"0123456789abcdef" * 16384

    def __init__(self) -> None:
        super().__init__(("localhost", 0), _SmallDoorRequest)
        self.clients: list[str] = []
        self.stall: Callable[[], None] | None = None
        self.go_on = threading.Event()

    def use_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that left."""


class _SmallDoorRequest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SmallDoor

    def do_PROPFIND(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = f"""<D:multistatus xmlns:D="DAV:"><D:response><D:href>{self.path}</D:href><D:propstat><D:prop>
            <D:resourcetype/><D:getcontentlength>{len(self.server.body)}</D:getcontentlength>
            </D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"""
        self._head(207, len(answer))
        self.wfile.write(answer.encode())

    def do_GET(self) -> None:
        body = self.server.body
        self._head(200, len(body))
        self.wfile.write(body[: len(body) // 2])
        if self.server.stall:
            self.server.stall()
            self.server.go_on.wait(30)
        self.wfile.write(body[len(body) // 2 :])

    def _head(self, status: int, length: int) -> None:
        if isinstance(self.connection, ssl.SSLSocket):
            certificate: Any = self.connection.getpeercert()
            subject = dict(pair for group in certificate["subject"] for pair in group)
            self.server.clients.append(subject["organizationalUnitName"])
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name that http.server gave it)
        """Say nothing."""


@pytest.fixture
def small_door() -> Iterator[SmallDoor]:
    """Return a door with one file, `/lst/run.fits` or what else is asked for."""
    door = SmallDoor()
    thread = threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield door
    door.go_on.set()
    door.shutdown()
    thread.join()
    door.server_close()
