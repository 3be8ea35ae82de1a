"""Slurm on one machine: two virtual nodes, without systemd, cgroups and accounting; it must run as root.

Debian's own configuration and munge stay as they are: its key, sockets, ports and folders lie below one folder.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import ServerError, free_port, program
from tests.servers.server import work_folder

_CONFIG = """
ClusterName=ctatest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=2
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MinJobAge=600
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=16000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=16000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=60 DefMemPerCPU=0 State=UP
"""
_PATIENCE = 30.0


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """A running Slurm.

    Attributes:
        folder: Where it keeps all of it, the scripts of its jobs among it.
        environ: What a client needs in its environment.
    """

    folder: Path
    environ: dict[str, str]


@contextmanager
def slurm() -> Iterator[Slurm]:
    """Run munge, a controller and two nodes.

    Raises:
        ServerError: Something is not installed, or does not come up.
    """
    if os.geteuid() != 0:
        raise ServerError("Slurm runs as root here")
    for name, package in (("slurmctld", "slurmctld"), ("slurmd", "slurmd"), ("sbatch", "slurm-client")):
        program(name, package)
    with work_folder("slurm") as folder:
        folder.chmod(0o755)
        environ = _prepare(folder)
        pids = folder / "run"
        try:
            _munge(folder)
            _run(["slurmctld"], environ)
            for node in ("n1", "n2"):
                _run(["slurmd", "-N", node], environ)
            _wait_for_nodes(environ)
            yield Slurm(folder=folder, environ={k: environ[k] for k in ("SLURM_CONF", "USER", "LOGNAME", "PATH")})
        finally:
            for name in ("slurmd-n1", "slurmd-n2", "slurmctld", "munged"):
                _end(pids / f"{name}.pid")


def _prepare(folder: Path) -> dict[str, str]:
    for name in ("etc", "state", "log", "run", "spool/n1", "spool/n2", "bin", "munge"):
        (folder / name).mkdir(parents=True)
    config = folder / "etc" / "slurm.conf"
    ports = [free_port() for _ in range(3)]
    config.write_text(_CONFIG.format(host=socket.gethostname().partition(".")[0], folder=folder, ports=ports))
    # The executor's job step removes SLURM_CONF before it calls srun.
    wrapper = folder / "bin" / "srun"
    wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={config} exec {shutil.which("srun")} "$@"\n')
    wrapper.chmod(0o755)
    return {
        "PATH": f"{folder}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "SLURM_CONF": str(config),
        "USER": "root",
        "LOGNAME": "root",
    }


def _munge(folder: Path) -> None:
    secret = folder / "munge" / "private"
    secret.mkdir(mode=0o700)
    key = secret / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    argv = [program("munged", "munge"), "--force", f"--key-file={key}", f"--socket={folder}/munge/munge.socket"]
    argv += [f"--log-file={secret}/log", f"--pid-file={folder}/run/munged.pid", f"--seed-file={secret}/seed"]
    _run(argv, dict(os.environ))


def _run(argv: list[str], environ: dict[str, str]) -> str:
    done = subprocess.run(
        argv, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_PATIENCE
    )
    if done.returncode:
        raise ServerError(f"{argv[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _wait_for_nodes(environ: dict[str, str]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            states = _run(["sinfo", "-h", "-N", "-o", "%t"], environ).split()
        except ServerError:
            states = []
        if states == ["idle", "idle"]:
            return
        if time.monotonic() > deadline:
            raise ServerError(f"the nodes do not come up: {states}")
        time.sleep(0.2)


def _end(pid_file: Path) -> None:
    """End the daemon whose pid a file tells."""
    try:
        pid = int(pid_file.read_text())
        os.kill(pid, 15)
    except (OSError, ValueError):
        return
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
