import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import AS_PLAIN_USER

REMOVE = """
import pathlib, sys
from snakemake_storage_plugin_cta.removal import remove_folder
remove_folder(pathlib.Path(sys.argv[1]))
"""


@pytest.mark.parametrize("mode", [0o500, 0o300, 0o000])
def test_a_folder_goes_with_all_that_is_write_protected_in_it_and_what_links_lead_to_stays(
    mode: int, tmp_path: Path
) -> None:
    folder, other = tmp_path / "copy", tmp_path / "other"
    (folder / "a" / "b").mkdir(parents=True)
    other.mkdir(mode=0o500)
    (folder / "a" / "link").symlink_to(other)
    for place in (folder / "a" / "b" / "file", folder / "file"):
        place.touch(mode=0o400)
    for place in (folder / "a" / "b", folder / "a", folder):
        place.chmod(mode)
    subprocess.run([*AS_PLAIN_USER, sys.executable, "-c", REMOVE, str(folder)], check=True)

    assert list(tmp_path.iterdir()) == [other]
    assert other.stat().st_mode & 0o777 == 0o500
