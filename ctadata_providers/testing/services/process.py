"""A service as a process: the threads that it has, its death and what comes after."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

THREADS = 10


class Thread:
    """One of the threads of a process, while it works on a request.

    Args:
        process: Whose it is.
    """

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._life = process.life
        self._is_held = True

    @property
    def is_dead(self) -> bool:
        """Whether its process has died."""
        return self._life != self._process.life

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        if self._is_held and not self.is_dead:
            self._process.give_back()
        self._is_held = False

    def lose(self) -> None:
        """Never give it back: it is busy for as long as its process lives."""
        self._is_held = False


class Process:
    """A process that works on a few requests at once, the others wait.

    Args:
        clock: Gives the time in seconds.

    Attributes:
        life: Which one it is; another one after each death.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.life = 0
        self._clock = clock
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._dead_until = 0.0
        self._is_young = False
        self._stumbles_next = False

    @property
    def is_dead(self) -> bool:
        """Whether there is none at the moment."""
        return self._clock() < self._dead_until

    def die(self, seconds: float) -> None:
        """End it with all that it does; a new one starts after some seconds."""
        self._begin()
        self._dead_until = self._clock() + seconds
        self._is_young = self._stumbles_next = True

    def renew(self) -> None:
        """Take another one, at once, as if nothing had been."""
        self._begin()
        self._dead_until, self._is_young = 0.0, False

    def stumbles(self) -> bool:
        """Tell whether a request fails because the process is young and works on another one already."""
        if not self._is_young or not self._busy:
            return False
        # Seen at random; here it is every other one, so that a test can count on it.
        fails, self._stumbles_next = self._stumbles_next, not self._stumbles_next
        return fails

    @asynccontextmanager
    async def thread(self) -> AsyncIterator[Thread]:
        """Wait for a thread, and have it for a block."""
        while self._busy >= THREADS:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting
        self._busy += 1
        thread = Thread(self)
        try:
            yield thread
            self._is_young = False
        finally:
            thread.release()

    def give_back(self) -> None:
        """Let the next one in."""
        self._busy -= 1
        self._wake(1)

    def _begin(self) -> None:
        self.life += 1
        self._busy = 0
        self._wake(len(self._waiting))

    def _wake(self, count: int) -> None:
        while count and self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                # A reset comes from another thread than that of the servers.
                waiting.get_loop().call_soon_threadsafe(_end, waiting)
                count -= 1


def _end(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
