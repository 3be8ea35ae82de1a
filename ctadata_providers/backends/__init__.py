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
    EarlyChecksumBackend,
    EndedError,
    Enough,
    FileInfo,
    HomeBackend,
    OtherSide,
    ReadResult,
    RenameBackend,
    SpanOperations,
    SpansBackend,
    SpansResult,
    ThirdPartyBackend,
    UrlBackend,
    WriteResult,
)
from ctadata_providers.backends.browsing import browser_url
from ctadata_providers.backends.reading import Version
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
    "EarlyChecksumBackend",
    "EndedError",
    "Enough",
    "FileInfo",
    "HomeBackend",
    "OtherSide",
    "ReadResult",
    "RenameBackend",
    "SpanOperations",
    "SpansBackend",
    "SpansResult",
    "ThirdPartyBackend",
    "UrlBackend",
    "Version",
    "WriteResult",
    "browser_url",
    "open_backend",
]


def open_backend(config: Config) -> Backend:
    """Return the backend that the settings choose; no I/O."""
    if config.backend == "memory":
        from ctadata_providers.backends.memory import MemoryBackend

        return MemoryBackend()
    if config.backend == "downloadservice":
        from ctadata_providers.backends.downloadservice import DownloadServiceBackend

        return DownloadServiceBackend(config)
    from ctadata_providers.backends.webdav import WebdavBackend

    return WebdavBackend(config)
