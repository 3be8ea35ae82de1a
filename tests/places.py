"""Local places where something does not work, for root, too."""

import os
import shutil
from pathlib import Path

import pytest

KERNEL_FOLDER = Path("/sys/kernel")
_RIGHTS = "-dac_override,-dac_read_search,-fowner"
AS_PLAIN_USER = ["setpriv", "--bounding-set", _RIGHTS] if os.geteuid() == 0 and shutil.which("setpriv") else []
"""What a command begins with for which the permissions of files count: root is taken the right to pass them by."""


def unwritable(folder: Path) -> Path:
    """Forbid to write in a folder, and return it; for root, who may write everywhere, one where nobody can."""
    folder.chmod(0o500)
    return KERNEL_FOLDER if os.geteuid() == 0 else folder


def another_group() -> int:
    """Return a group that a file of ours can be given, and that new ones do not have; skip without one."""
    others = [65534] if os.geteuid() == 0 else [number for number in os.getgroups() if number != os.getegid()]
    return others[0] if others else pytest.skip("this user is of one group only")
