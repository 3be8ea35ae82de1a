"""A CTA data centre in one process, for tests and trials.

>>> from ctadata_providers.testing import FakeCta
>>> with FakeCta() as cta:
...     cta.put("/lst/hello.txt", b"hello")
...     cta.paths()
['/lst/hello.txt']

What goes wrong there is switched on by name: `cta.faults.add("reset", path="/lst/**", times=1)`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctadata_providers.testing.fake import FakeCta
    from ctadata_providers.testing.faults import Fault, FaultName, Faults
    from ctadata_providers.testing.requestlog import LoggedRequest

__all__ = ["FakeCta", "Fault", "FaultName", "Faults", "LoggedRequest"]

_HOMES = {
    "FakeCta": "fake",
    "Fault": "faults",
    "FaultName": "faults",
    "Faults": "faults",
    "LoggedRequest": "requestlog",
}


def __getattr__(name: str) -> Any:
    """Import the server only when it is asked for: pytest imports this package in every run."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
