"""Local copies that an earlier run has left, and that would mislead this one."""

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from snakemake_storage_plugin_cta import outputs, queries
from snakemake_storage_plugin_cta.removal import NOT_STORED, remove_folder

logger = logging.getLogger(__name__)
_NOTES = ("_read_locks", "_filter_incomplete_keys", "_get_external_jobids")
"""What Snakemake tells of its jobs and locks: its own affair, but there is no public way."""


def clear(workflow: Any, prefix: Path) -> None:
    """Remove the copies of output folders whose jobs have not ended, and those of what checkpoints have made.

    Snakemake empties an output folder before a job only if the folder exists in the storage: else the job that is run
    again after a kill would store what the first attempt has left, too. The copy of a checkpoint's output, which was
    fetched for an input function, is to be removed before the checkpoint runs again; but Snakemake (9.27) does so
    between noting that it exists and looking whether it is write-protected, and takes what is gone for that.

    To be called by the process of the workflow, before its first job and before Snakemake looks for copies; nothing is
    done while another Snakemake works here, nor with one that keeps its notes otherwise.

    Args:
        workflow: Tells what its outputs are, and what was noted of jobs.
        prefix: The folder of the local copies.
    """
    notes = workflow.persistence
    if not all(hasattr(notes, name) for name in _NOTES):
        return
    begun = dict(_copies(prefix, outputs.flagged(workflow, "directory")))
    fetched = dict(_copies(prefix, outputs.of_checkpoints(workflow)))
    if not (begun or fetched) or any(notes._read_locks()):
        return
    kept = outputs.kept(workflow)
    for query in notes._filter_incomplete_keys({**begun, **fetched}):
        # A job of a cluster outlives the process that was killed.
        if any(notes._get_external_jobids([query])):
            fetched.pop(query, None)
        elif query in begun and begun[query].is_dir():
            logger.warning("%s is removed: the job that wrote it did not end", begun[query])
            _remove(begun[query])
    for query, copy in fetched.items():
        if not any(outputs.matches(pattern, query) for pattern in kept):
            _remove(copy)


def _copies(prefix: Path, patterns: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Yield the queries that stand for a pattern and have a local copy, and that copy."""
    for pattern in patterns:
        suffix = queries.local_suffix(pattern)
        scheme, ending = pattern.removesuffix("/").removesuffix(suffix), "/" if pattern.endswith("/") else ""
        above = prefix / suffix.partition("{")[0].rpartition("/")[0]
        for folder, folders, files in os.walk(above):
            folders[:] = [name for name in folders if not name.endswith(NOT_STORED)]
            for name in (*folders, *files):
                copy = Path(folder, name)
                query = f"{scheme}{copy.relative_to(prefix).as_posix()}"
                if outputs.matches(pattern, query) and not name.endswith(NOT_STORED):
                    yield query + ending, copy


def _remove(copy: Path) -> None:
    if copy.is_dir() and not copy.is_symlink():
        remove_folder(copy)
    else:
        copy.unlink(missing_ok=True)  # a folder that was removed may have held it
