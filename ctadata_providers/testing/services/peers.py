"""How one server of the data centre finds another: with the faults that this one has."""

import asyncio
import math
from collections.abc import Callable

from ctadata_providers.testing import fault_acts
from ctadata_providers.testing.exchange import ClientGoneError, Exchange
from ctadata_providers.testing.faults import Fault, Faults
from ctadata_providers.testing.requestlog import ServerName

_GLANCE = 0.02


class BrokenError(Exception):
    """The other server does not answer, or not to the end."""


class Peer:
    """Another server, seen from a service that asks it.

    Args:
        name: Which one.
        faults: What is switched on.
        clock: Gives the time in seconds.
    """

    def __init__(self, name: ServerName, faults: Faults, clock: Callable[[], float]) -> None:
        self.name: ServerName = name
        self._faults = faults
        self._clock = clock

    async def meet(self, exchange: Exchange, method: str, *paths: str, patience: float = math.inf) -> list[Fault]:
        """Ask it something, and return the faults that the answer may have.

        Args:
            exchange: The request because of which it is asked.
            method: The HTTP method.
            *paths: What it is asked for.
            patience: Seconds for which the service waits; most of them wait for ever.

        Raises:
            Refusal: When a fault answers.
            BrokenError: When there is no answer.
            ClientGoneError: When nobody waits any more for what was silent and is not now.
        """
        found = self._faults.meeting(self.name, method, *paths) if self._faults else []
        for fault in found:
            fault_acts.refuse(fault)
            if fault.name in ("reset", "stall") and not fault.options.after and fault.strike():
                if fault.name == "reset":
                    raise BrokenError("connection reset")
                await self.wait(exchange, fault, patience)
        return found

    async def wait(self, exchange: Exchange, fault: Fault, patience: float = math.inf) -> None:
        """Wait for a silent server, whether or not the client still does: that is what blocks a service.

        Raises:
            BrokenError: When the service loses patience.
            ClientGoneError: When nobody waits any more.
        """
        start = self._clock()
        while (now := self._clock()) < start + fault.options.seconds and any(one is fault for one in self._faults):
            if now >= start + patience:
                raise BrokenError("timed out")
            await asyncio.sleep(_GLANCE)
        transport = exchange.request.transport
        if transport is None or transport.is_closing():
            raise ClientGoneError
