"""A CTA data centre in one process, for tests and trials.

>>> from ctadata_providers.testing import FakeCta
>>> with FakeCta() as cta:
...     cta.put("/lst/hello.txt", b"hello")
...     cta.paths()
['/lst/hello.txt']
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctadata_providers.testing.fake import FakeCta
    from ctadata_providers.testing.requestlog import LoggedRequest

__all__ = ["FakeCta", "LoggedRequest"]


def __getattr__(name: str) -> Any:
    """Import the server only when it is asked for: pytest imports this package in every run."""
    if name == "FakeCta":
        from ctadata_providers.testing.fake import FakeCta

        return FakeCta
    if name == "LoggedRequest":
        from ctadata_providers.testing.requestlog import LoggedRequest

        return LoggedRequest
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
