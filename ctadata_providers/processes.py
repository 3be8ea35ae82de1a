"""What tells a process from others that have had its number."""

from pathlib import Path


def start_of(pid: int) -> str | None:
    """Return eight digits for the time at which a process began, None where that is not told, `""` for a dead one."""
    try:
        told = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = told.rpartition(b")")[2].split()  # the name of the program, in brackets, may hold anything
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):  # killed, and nobody has asked how it ended
        return ""
    return f"{int(fields[19]) & 0xFFFFFFFF:08x}"
