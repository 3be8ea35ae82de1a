"""Redis and PostgreSQL, empty, on loopback ports, with all that they write below one folder."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import ServerError, free_port, port_answers, program, running
from tests.servers.server import give_to, service_user, work_folder


@contextmanager
def redis() -> Iterator[str]:
    """Run a Redis that keeps nothing and yield its URL.

    Raises:
        ServerError: It is not installed, or does not come up.
    """
    port = free_port()
    with work_folder("redis") as folder:
        argv = [program("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
        argv += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        with running(argv, log=folder / "redis.log", ready=lambda: port_answers(port)):
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a PostgreSQL and yield where its database is, as `user@host:port/name`; it asks for no password.

    Raises:
        ServerError: It is not installed, or does not come up.
    """
    # Debian has its programs in a folder for each version, and in no PATH.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not folders:
        raise ServerError("postgres is not installed: it is in the Debian package postgresql (make test-real)")
    programs, port = folders[-1].parent, free_port()
    with work_folder("postgresql") as folder:
        owner = service_user("postgres", "postgresql")  # it refuses to run as root
        data = folder / "data"
        data.mkdir()
        give_to(owner, folder)
        becoming = ["setpriv", "--reuid", owner, "--regid", owner, "--clear-groups"] if owner else []
        made = subprocess.run(
            [*becoming, str(programs / "initdb"), "-D", str(data), "-U", "airflow", "-A", "trust", "--no-sync"],
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
        if made.returncode:
            raise ServerError(f"initdb: {made.stderr}")
        argv = [*becoming, str(programs / "postgres"), "-D", str(data), "-p", str(port)]
        for setting in ("listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off"):
            argv += ["-c", setting]
        ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        with running(
            argv,
            log=folder / "postgresql.log",
            ready=lambda: subprocess.run(ready, check=False).returncode == 0,
            cwd=folder,
        ):
            yield f"airflow@127.0.0.1:{port}/postgres"
