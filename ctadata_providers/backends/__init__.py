"""What speaks to a kind of server: six operations and a few that only some can do."""

from ctadata_providers.backends.base import (
    AnsweredSink,
    Backend,
    BriefBackend,
    BriefOperations,
    ChangedError,
    ChecksumBackend,
    ClockBackend,
    CopyBackend,
    EndedError,
    FileInfo,
    OtherSide,
    ReadResult,
    RenameBackend,
    SpanOperations,
    SpansBackend,
    ThirdPartyBackend,
    WriteResult,
)
from ctadata_providers.config import Config

__all__ = [
    "AnsweredSink",
    "Backend",
    "BriefBackend",
    "BriefOperations",
    "ChangedError",
    "ChecksumBackend",
    "ClockBackend",
    "CopyBackend",
    "EndedError",
    "FileInfo",
    "OtherSide",
    "ReadResult",
    "RenameBackend",
    "SpanOperations",
    "SpansBackend",
    "ThirdPartyBackend",
    "WriteResult",
    "open_backend",
]


def open_backend(config: Config) -> Backend:
    """Return the backend that the settings choose; no I/O."""
    if config.backend == "memory":
        from ctadata_providers.backends.memory import MemoryBackend

        return MemoryBackend()
    from ctadata_providers.backends.webdav import WebdavBackend

    return WebdavBackend(config)
