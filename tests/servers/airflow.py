"""A whole Airflow in processes of its own: `airflow standalone`, or its parts with Celery workers.

Everything that it writes lies in one folder, its servers listen on loopback ports, and connections come from the
environment. Waits inside Airflow are set to seconds, so that a test sees in a minute what takes an hour elsewhere.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests
from cryptography.fernet import Fernet

from tests.servers.databases import postgresql, redis
from tests.servers.process import ServerError, free_port, running, tail

_READY = 240.0
"""Seconds for Airflow to come up; an idle machine with two cores needs 20."""
PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
WORKERS = ("one", "two")


@dataclass(frozen=True, kw_only=True)
class Airflow:
    """A running Airflow.

    Attributes:
        url: Its API server.
        home: All that it has written.
        environ: The environment of its parts.
        stack: Ends them.
        pids: The process of each part, by name; `standalone` is the parent of its own.
    """

    url: str
    home: Path
    environ: Mapping[str, str] = field(repr=False)
    stack: ExitStack = field(repr=False)
    pids: dict[str, int] = field(default_factory=dict)
    _session: requests.Session = field(default_factory=requests.Session, repr=False)

    def start(self, name: str, words: Sequence[str] = ()) -> None:
        """Start a part, also once more, and remember its pid; it ends with all that it has started."""
        log = self.home / f"{name}.log"
        argv = [str(Path(sys.executable).with_name("airflow")), *(words or [name])]
        pid = self.stack.enter_context(running(argv, log=log, ready=lambda: True, environ=self.environ))
        self.stack.callback(kill, pid)  # nothing of it is kept, and its own way to an end takes some seconds
        self.pids[name] = pid

    def kill(self, name: str) -> None:
        """Kill a part with -9, and all that it has started."""
        kill(self.pids.pop(name))

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Ask the REST API.

        Raises:
            ServerError: It refused.
        """
        answer = self._session.request(method, f"{self.url}/api/v2/{path}", json=body or None, timeout=60)
        if not answer.ok:
            raise ServerError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def log_in(self) -> None:
        """Get a token: everybody is an administrator."""
        answer = requests.get(f"{self.url}/auth/token", timeout=60)
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def healthy(self) -> bool:
        """Tell whether the database and all of `PARTS` are well."""
        try:
            health = requests.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except (requests.RequestException, ValueError):
            return False
        return all(isinstance(part, dict) and part.get("status") == "healthy" for part in health.values())

    def unpause(self, *dag_ids: str, patience: float = 90.0) -> None:
        """Wait until DAGs are known, and let them run."""
        for dag_id in dag_ids:
            until(lambda dag_id=dag_id: self._knows(dag_id), f"{dag_id} is known", patience=patience)  # type: ignore[misc]  # a lambda's default
            self.ask("PATCH", f"dags/{dag_id}", is_paused=False)

    def _knows(self, dag_id: str) -> bool:
        errors = self.ask("GET", "importErrors")["import_errors"]
        if errors:
            raise ServerError(errors[0]["stack_trace"])
        return dag_id in [dag["dag_id"] for dag in self.ask("GET", "dags?limit=100")["dags"]]

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Start a run and return its id."""
        run = self.ask("POST", f"dags/{dag_id}/dagRuns", logical_date=None, conf=dict(conf))
        return str(run["dag_run_id"])

    def runs(self, dag_id: str) -> dict[str, str]:
        """Return the state of each run."""
        return {run["dag_run_id"]: run["state"] for run in self.ask("GET", f"dags/{dag_id}/dagRuns")["dag_runs"]}

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        tasks: list[dict[str, Any]] = []
        while True:
            where = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100&offset={len(tasks)}"
            answer = self.ask("GET", where)
            tasks += answer["task_instances"]
            if len(tasks) >= answer["total_entries"] or not answer["task_instances"]:
                return tasks

    def finish(self, dag_id: str, run_id: str, *, patience: float) -> list[dict[str, Any]]:
        """Wait until a run has ended well and return its task instances.

        Raises:
            ServerError: It has failed, or not ended in time; tells of the tasks that are not done.
        """
        try:
            ends = ("success", "failed")
            until(lambda: self.runs(dag_id)[run_id] in ends, f"{dag_id} ends", patience=patience, pause=1)
        finally:
            tasks = self.tasks(dag_id, run_id)
        state = self.runs(dag_id)[run_id]
        if state != "success":
            odd = [(task["task_id"], task["map_index"], task["state"]) for task in tasks if task["state"] != "success"]
            raise ServerError(f"{dag_id} ended as {state}: {odd}; logs are in {self.home}/logs")
        return tasks

    def usage(self) -> dict[str, tuple[float, float]]:
        """Return CPU seconds and MiB of memory (PSS, as shared pages count once) of each part with its children."""
        if "standalone" not in self.pids:
            return {name: _usage(pid) for name, pid in self.pids.items()}
        parts = {_part_of(process): process.pid for process in psutil.Process(self.pids["standalone"]).children()}
        return {name: _usage(pid) for name, pid in parts.items()}


def until(happened: Callable[[], object], what: str, *, patience: float, pause: float = 0.2) -> None:
    """Wait until something has happened.

    Raises:
        ServerError: It has not in time.
    """
    deadline = time.monotonic() + patience
    while not happened():
        if time.monotonic() > deadline:
            raise ServerError(f"not in {patience:.0f} s: {what}")
        time.sleep(pause)


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all that it has started."""
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(pid: int) -> None:
    """Kill a process and all that it has started, as when the machine below them loses its power."""
    processes = family(pid)
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)


def _part_of(process: psutil.Process) -> str:
    words = " ".join(process.cmdline()).replace("_", "-")
    return next((part for part in PARTS if part in words), str(process.pid))


def _usage(pid: int) -> tuple[float, float]:
    cpu = memory = 0.0
    for process in family(pid):
        try:
            times = process.cpu_times()
            cpu += times.user + times.system + times.children_user + times.children_system
            memory += process.memory_full_info().pss / 2**20
        except psutil.NoSuchProcess:
            continue
    return cpu, memory


@contextmanager
def standalone(home: Path, dags: Path, connections: Mapping[str, Mapping[str, Any]]) -> Iterator[Airflow]:
    """Run `airflow standalone`: SQLite and the LocalExecutor.

    Args:
        home: An empty folder.
        dags: The DAGs folder.
        connections: The extra of each connection of type `cta`, by name.

    Raises:
        ServerError: It does not come up.
    """
    with _new(home, dags, connections) as airflow:
        airflow.start("standalone")
        wait_until_well(airflow)
        yield airflow


@contextmanager
def apart(home: Path, dags: Path, connections: Mapping[str, Mapping[str, Any]]) -> Iterator[Airflow]:
    """Run what `standalone` runs, each part for itself, so that one can be killed and started again.

    Args:
        home: An empty folder.
        dags: The DAGs folder.
        connections: The extra of each connection of type `cta`, by name.

    Raises:
        ServerError: Something does not come up.
    """
    with _new(home, dags, connections) as airflow:
        _start_parts(airflow)
        wait_until_well(airflow)
        yield airflow


@contextmanager
def celery(
    home: Path, dags: Path, connections: Mapping[str, Mapping[str, Any]], *, concurrency: int = 3
) -> Iterator[Airflow]:
    """Run the parts of Airflow on PostgreSQL, and two Celery workers behind Redis.

    Args:
        home: An empty folder.
        dags: The DAGs folder.
        connections: The extra of each connection of type `cta`, by name.
        concurrency: Tasks of a worker at once.

    Raises:
        ServerError: Something is not installed, or does not come up.
    """
    with redis() as broker, postgresql() as database:
        of_celery = {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+asyncpg://{database}",
            "AIRFLOW__CELERY__BROKER_URL": broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{database}",
        }
        with _new(home, dags, connections, **of_celery) as airflow:
            _start_parts(airflow)
            for name in WORKERS:
                words = ["celery", "worker", "--concurrency", str(concurrency), "--celery-hostname", name]
                airflow.start(name, [*words, "--skip-serve-logs", "--without-gossip", "--without-mingle"])
            wait_until_well(airflow)
            yield airflow


@contextmanager
def _new(home: Path, dags: Path, connections: Mapping[str, Mapping[str, Any]], **environ: str) -> Iterator[Airflow]:
    port = free_port()
    environ = {**_environ(home, dags, connections, port), **environ}
    with ExitStack() as stack:
        yield Airflow(url=f"http://localhost:{port}", home=home, environ=environ, stack=stack)


def _start_parts(airflow: Airflow) -> None:
    _make_database(airflow.environ)
    for part in PARTS:
        airflow.start(part)


def _make_database(environ: Mapping[str, str]) -> None:
    code = "from airflow.utils.db import initdb; initdb()"
    made = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=_READY,
    )
    if made.returncode:
        raise ServerError(f"Airflow cannot make its database: {made.stderr[-2000:]}")


def wait_until_well(airflow: Airflow) -> None:
    """Wait until all parts and workers are there, and log in.

    Raises:
        ServerError: They do not come; tells what they have said.
    """
    logs = [airflow.home / f"{name}.log" for name in airflow.pids]
    workers = [log for log in logs if log.stem in WORKERS]
    try:
        until(airflow.healthy, "all parts are well", patience=_READY)
        until(lambda: all(" ready." in log.read_text() for log in workers), "the workers are there", patience=_READY)
    except ServerError as error:
        raise ServerError("\n".join([str(error), *map(tail, logs)])) from error
    airflow.log_in()


def _environ(home: Path, dags: Path, connections: Mapping[str, Mapping[str, Any]], port: int) -> dict[str, str]:
    config = {
        "CORE__DAGS_FOLDER": dags,
        "CORE__LOAD_EXAMPLES": False,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
        "CORE__TEST_CONNECTION": "Enabled",
        "CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port}/execution/",
        "CORE__PARALLELISM": 4,
        # Else the processes, which begin together, may not agree on it.
        "CORE__FERNET_KEY": Fernet.generate_key().decode(),
        "CORE__DEFAULT_TASK_RETRY_DELAY": 1,
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__WORKERS": 1,
        "API__SECRET_KEY": os.urandom(32).hex(),
        "API_AUTH__JWT_SECRET": os.urandom(64).hex(),
        "LOGGING__WORKER_LOG_SERVER_PORT": free_port(),
        "TRIGGERER__CAPACITY": 2000,
        "TRIGGERER__JOB_HEARTBEAT_SEC": 1,
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 10,
        "LOGGING__TRIGGER_LOG_SERVER_PORT": free_port(),
        "USAGE_DATA_COLLECTION__ENABLED": False,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 5,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 15,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 2,
        "WORKERS__MIN_HEARTBEAT_INTERVAL": 2,
        "CTA__POKE_INTERVAL": 2,
    }
    return {
        "AIRFLOW_HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **{f"AIRFLOW__{name}": str(value) for name, value in config.items()},
        **{
            f"AIRFLOW_CONN_{name.upper()}": json.dumps({"conn_type": "cta", "extra": dict(extra)})
            for name, extra in connections.items()
        },
    }
