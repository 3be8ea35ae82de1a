"""What a forked process begins anew: its parent's transfers do not end there, and a lock of theirs may be held."""

import os
from abc import ABC, abstractmethod
from weakref import WeakSet

_known: "WeakSet[NewAfterFork]" = WeakSet()


class NewAfterFork(ABC):
    """Something that transfers share, and that begins anew in a forked process."""

    def __init__(self) -> None:
        self._begin_anew()
        _known.add(self)

    @abstractmethod
    def _begin_anew(self) -> None:
        """Know of no transfer, and have a lock that nobody holds."""


def _begin_all_anew() -> None:
    for item in _known:
        item._begin_anew()


os.register_at_fork(after_in_child=_begin_all_anew)
