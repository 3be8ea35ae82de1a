"""A CTA data centre in one process, for tests and trials.

>>> from ctadata_providers.testing import FakeCta
>>> with FakeCta() as cta:
...     cta.put("/lst/hello.txt", b"hello")
...     cta.paths()
['/lst/hello.txt']

What goes wrong there is switched on by name: `cta.faults.add("reset", path="/lst/**", times=1)`.

Where is what, from the outside to the inside:

* for users: `fake` (`FakeCta`), `pytest_plugin`, `sandbox` (the command) and `samples` (its data); `past_proxies` leads
  their programs to it
* one thread for all servers: `running`; certificates: `pki`
* a request: `server` takes it, `exchange` is one with its answer, `requestlog` keeps what was asked, without secrets
* the door: `door`, with `bans`, `logins` (by `tokens`), `reading` and `writing`; what it says: `propfind` (about
  `questions`), `pages`
* the issuer, an OpenID provider whose tokens the door takes: `oidc`
* the CTA services with their hub: `services`
* the pools: `pool`, with `ranges` and `upload`
* what is so and what is told: `storage` (in a `scratch` folder), `facts` and `digests`; the time of day: `wallclock`
* what goes wrong: the `fault_kinds` there are, the `faults` that are on; before and after an answer `fault_acts`, in
  its bytes `fault_bends`
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctadata_providers.testing.fake import FakeCta
    from ctadata_providers.testing.fault_kinds import FaultName
    from ctadata_providers.testing.faults import Fault, Faults
    from ctadata_providers.testing.oidc.issuer import Issuer
    from ctadata_providers.testing.requestlog import LoggedRequest

__all__ = ["FakeCta", "Fault", "FaultName", "Faults", "Issuer", "LoggedRequest"]

_HOMES = {
    "FakeCta": "fake",
    "Fault": "faults",
    "FaultName": "fault_kinds",
    "Faults": "faults",
    "Issuer": "oidc.issuer",
    "LoggedRequest": "requestlog",
}


def __getattr__(name: str) -> Any:
    """Import the server only when it is asked for: pytest imports this package in every run."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"ctadata_providers.testing needs {error.name}: pip install 'ctadata-providers[testing]'", name=error.name
        ) from error
