"""How a workflow waits in its event loops, of which Snakemake has one in each of its threads."""

from typing import TypeVar

from ctadata_providers.awaiting import Pending, result_of

T = TypeVar("T")
STOP_PATIENCE = 1.5
"""Seconds that what was stopped has for cleaning up: Ctrl-C shall end a workflow within 2 s."""


async def ended(pending: Pending[T]) -> T:
    """Wait for a future without blocking the event loop; when that is cancelled, stop it and let it clean up."""
    return await result_of(pending, patience=STOP_PATIENCE)
