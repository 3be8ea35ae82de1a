"""Local places where something does not work, for root, too."""

import os
from pathlib import Path

KERNEL_FOLDER = Path("/sys/kernel")


def unwritable(folder: Path) -> Path:
    """Forbid to write in a folder, and return it; for root, who may write everywhere, one where nobody can."""
    folder.chmod(0o500)
    return KERNEL_FOLDER if os.geteuid() == 0 else folder
