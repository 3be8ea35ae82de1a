"""The clocks of two machines, which need not agree."""

from ctadata_providers.backends import Backend, ClockBackend


def clock_ahead(backend: Backend) -> float:
    """Return by how many seconds the server's clock is ahead of ours; zero where that is not known."""
    return (backend.clock_ahead() or 0.0) if isinstance(backend, ClockBackend) else 0.0
