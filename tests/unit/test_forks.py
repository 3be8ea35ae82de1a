"""What a forked process begins anew."""

import subprocess
import sys

FORKED = """
import os, signal
from ctadata_providers.forks import NewAfterFork, fork_safe_lock

class Counted(NewAfterFork):
    def _begin_anew(self):
        self.lock, self.count = fork_safe_lock(), 0

lock, counted = fork_safe_lock(), Counted()
counted.count = 1
lock.acquire(), counted.lock.acquire()  # as other threads would, in the middle of the fork
child = os.fork()
if not child:
    signal.alarm(10)
    taken = lock.acquire() and counted.lock.acquire()
    os._exit(not taken or counted.count)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
raise SystemExit(code or counted.count != 1 or not lock.locked())
"""


def test_a_forked_process_waits_for_no_lock_and_knows_of_no_work_of_its_parent() -> None:
    assert subprocess.run([sys.executable, "-c", FORKED], timeout=20).returncode == 0
