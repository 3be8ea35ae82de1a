"""Whose copies lie below the local prefix: Snakemake takes an old copy for the file of whatever place is asked now."""

import json
import logging
from contextlib import suppress
from pathlib import Path

from snakemake_storage_plugin_cta.removal import remove_folder

logger = logging.getLogger(__name__)


def claim(prefix: Path, profile: str | None, place: str) -> None:
    """Note from where the copies of a profile come, and remove those that came from another place.

    To be called by the one process that may do so, when no job runs.

    Args:
        prefix: The folder of the local copies.
        profile: The profile that addresses name, None for the provider's own.
        place: What tells one storage from others.
    """
    note = prefix.with_name(f".{prefix.name}-places.json")
    places: dict[str, str] = {}
    with suppress(OSError, ValueError):
        places = dict(json.loads(note.read_text(encoding="utf-8")))
    before = places.get(profile or "")
    if before == place:
        return
    if before is not None:
        for old in prefix.iterdir():
            if _profile_of(old.name) == profile:
                logger.warning("%s is removed: it was copied from %s, not from %s", old, before, place)
                remove_folder(old) if old.is_dir() else old.unlink()
    with suppress(OSError):  # a prefix that cannot be written to will be told by the first transfer
        note.write_text(json.dumps(places | {profile or "": place}), encoding="utf-8")


def _profile_of(name: str) -> str | None:
    """Return the profile whose copies lie below a name right below the prefix; see `queries.local_suffix`.

    >>> _profile_of("lst"), _profile_of("dev@lst"), _profile_of("@")
    (None, 'dev', None)
    """
    return name.partition("@")[0] or None if "@" in name else None
