"""Local places where something does not work, for root, too."""

import os
import shutil
from pathlib import Path

KERNEL_FOLDER = Path("/sys/kernel")
_RIGHTS = "-dac_override,-dac_read_search,-fowner"
AS_PLAIN_USER = ["setpriv", "--bounding-set", _RIGHTS] if os.geteuid() == 0 and shutil.which("setpriv") else []
"""What a command begins with for which the permissions of files count: root is taken the right to pass them by."""


def unwritable(folder: Path) -> Path:
    """Forbid to write in a folder, and return it; for root, who may write everywhere, one where nobody can."""
    folder.chmod(0o500)
    return KERNEL_FOLDER if os.geteuid() == 0 else folder
