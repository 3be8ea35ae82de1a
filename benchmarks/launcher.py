"""Run programs for somebody larger: `python launcher.py` reads requests, one JSON a line, and answers so.

A process of its own, because a program's peak memory begins with that of the process that starts it, and because
starting from a large process takes longer.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

LONGEST = 900.0
_KEPT = 4000


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run one program to its end; return its status, what it said last, and what it cost."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(
                request["argv"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=request["env"],
                cwd=request["cwd"],
            )
        except OSError as error:
            return {"status": 127, "output": "", "errors": str(error), "seconds": 0.0, "cpu": 0.0, "peak": 0}
        timer = threading.Timer(LONGEST, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        return {
            "status": process.returncode,
            "output": _tail(output),
            "errors": _tail(errors),
            "seconds": seconds,
            "cpu": usage.ru_utime + usage.ru_stime,
            "peak": usage.ru_maxrss * 1024,
        }


def _tail(file: Any) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _KEPT))
    text: str = file.read().decode(errors="replace")
    return text


def main() -> None:
    """Serve until there are no more requests."""
    try:
        for line in sys.stdin:
            print(json.dumps(run(json.loads(line))), flush=True)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
