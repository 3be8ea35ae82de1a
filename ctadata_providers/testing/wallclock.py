"""The time of day in the data centre, which need not be that of its clients."""

import time
from email.utils import formatdate


class WallClock:
    """Gives the time of day, seconds since the epoch.

    Attributes:
        ahead: By how many seconds it is wrong; below 0 it is behind.
    """

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """Return the time of day."""
        return time.time() + self.ahead

    @property
    def headers(self) -> dict[str, str]:
        """The Date header of an answer, where it is not that of this machine."""
        return {"Date": formatdate(self(), usegmt=True)} if self.ahead else {}
