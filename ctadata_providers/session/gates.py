"""One request alone until a server has accepted a credential, then all at once; none for a while when it refused it.

dCache blocks an address after three answers 401 within 20 s, and behind one address there may be a whole site. So a
credential of which nothing is known goes out in one request of this process, and, as far as they share a state folder,
of all processes of the user. Where it was accepted, a request costs a look into a dictionary.
"""

import hashlib
import os
import threading
import time
from collections.abc import Hashable
from functools import partial

from ctadata_providers.session.futures import Future
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.markers import POLL_SECONDS, Marker, Word, admission_folder
from ctadata_providers.session.tasks import following, in_thread, wait

Place = tuple[str, str, int]

REFUSED_PAUSE = 20.0
"""Seconds for which a refused credential is not sent again, and for which the word of another process holds."""
PROBE_PATIENCE = 10.0
"""Seconds after which the next request may try a credential although the one before has no answer yet.

A GET of a file on tape waits for minutes; one try in 10 s is less than what a door blocks for.
"""
MANY = 64


class Gate:
    """What is known of one credential at one server; thread-safe."""

    def __init__(self, place: Place, shown: Hashable) -> None:
        self.open_until = 0.0
        """Epoch seconds until which it may be sent without more ado."""
        self.refused_until = 0.0
        """Time of the monotonic clock before which it is not sent."""
        self.accepted = False
        """Whether it was ever accepted."""
        self.replaces_refused = False
        """Whether it was asked for because another one was refused: if it is refused too, there is no third."""
        self._place = place
        self._shown = shown
        self._told_at: float | None = None
        self._lock = threading.Lock()
        self._probe: Probe | None = None
        self._left: Future[None] = Future()
        self._awaited = False

    @property
    def final(self) -> bool:
        """Whether a refusal is the second in a row."""
        return self.replaces_refused and not self.accepted

    @property
    def idle(self) -> bool:
        """Whether nothing is lost when it is forgotten, but for a little time."""
        return self._probe is None and time.monotonic() >= self.refused_until

    def enter(self) -> "Probe | Future[None]":
        """Return the right to be the one who tries, or a future that is done when another has had its answer."""
        with self._lock:
            if self._probe is None:
                self._probe, self._left, self._awaited = Probe(self), Future(), False
                return self._probe
            if not self._awaited:
                self._awaited = True
                overdue = self._probe.make_way
                curl_loop().sleep(PROBE_PATIENCE).add_done_callback(lambda _: overdue())
            return following(self._left)

    def leave(self, probe: "Probe") -> None:
        """Let those go on who wait for this one; they then see what has become known."""
        with self._lock:
            if self._probe is not probe:
                return
            self._probe, left, awaited = None, self._left, self._awaited
        if awaited:  # not in this thread, which may be the main one, where Ctrl-C would tear them
            curl_loop().call(partial(left.set_result, None))

    def accept(self, until: float) -> None:
        """Take note that it was accepted, and is good until some epoch seconds."""
        self.accepted, self.open_until, self.refused_until = True, until, 0.0

    def refuse(self) -> bool:
        """Take note that it was refused; tell whether this is news."""
        with self._lock:
            news = time.monotonic() >= self.refused_until
            self.open_until, self.refused_until = 0.0, time.monotonic() + REFUSED_PAUSE
        return news

    def tell_refused(self) -> None:
        """Let the other processes know; blocks a little."""
        self._told_at = self.marker().write("refused again" if self.final else "refused")

    def told(self, marker: Marker, *, trusting: bool) -> Word | None:
        """Return what another process has just learnt.

        Args:
            marker: Where it would stand.
            trusting: Whether that it was accepted is enough to know.
        """
        said = marker.read()
        if said is None or abs(time.time() - said[1]) >= REFUSED_PAUSE:
            return None
        word, said_at = said
        if word == "good":
            return word if trusting else None
        if self._told_at is not None and said_at <= self._told_at:
            return None  # our own word, from before the pause
        return word

    def marker(self) -> Marker:
        """Return where processes tell each other."""
        server = hashlib.sha256(repr(self._place).encode()).hexdigest()[:32]
        credential = hashlib.sha256(repr((self._place, self._shown)).encode()).hexdigest()[:32]
        return Marker(admission_folder(), server, credential)


class Probe:
    """The right to send a credential of which nothing is known."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._marker = gate.marker()
        self._using = threading.Lock()
        self._released = False
        self._ended = False

    async def consult(self, *, trusting: bool) -> Word | None:
        """Return what other processes know, having waited for one that tries; None is for "nobody knows".

        No thread is held meanwhile: as many credentials as there are threads may wait for each other.
        """
        deadline = time.monotonic() + PROBE_PATIENCE
        while True:
            word, alone = await wait(in_thread(partial(self._look, trusting=trusting), admits=True))
            if word is not None or alone or time.monotonic() >= deadline:
                return word
            await wait(curl_loop().sleep(POLL_SECONDS))

    def accept(self, until: float) -> None:
        """Open the gate; the other processes hear of it a little later."""
        self._gate.accept(until)
        self._end("good")

    def end(self) -> None:
        """Leave without having learnt anything; after another end it does nothing."""
        self._end(None)

    def make_way(self) -> None:
        """Let the next one try, here or in another process, although no answer has come yet."""
        if not self._ended:
            self._gate.leave(self)
            in_thread(partial(self._say, None), admits=True)

    def _look(self, *, trusting: bool) -> tuple[Word | None, bool]:
        """Return what other processes know, and whether none of them tries now; blocks a little."""
        with self._using:
            word = self._gate.told(self._marker, trusting=trusting)
            if word is not None or self._released:
                return word, True
            alone = self._marker.lock()
            # It may have been written between the look and the lock.
            return (self._gate.told(self._marker, trusting=trusting) if alone else None), alone

    def _end(self, word: Word | None) -> None:
        self._gate.leave(self)
        if not self._ended:
            self._ended = True
            in_thread(partial(self._say, word), admits=True)

    def _say(self, word: Word | None) -> None:
        with self._using:
            self._released = True
            if word is not None:
                self._marker.write(word)
            self._marker.unlock()


_gates: dict[tuple[Place, Hashable], Gate] = {}
"""What all sessions of this process know."""


def known_gate(place: Place, shown: Hashable) -> Gate | None:
    """Return the gate of a credential at a server if there is one."""
    return _gates.get((place, shown))


def gate_of(place: Place, shown: Hashable) -> Gate:
    """Return the gate of a credential at a server, the same for all sessions of the process."""
    gate = _gates.get((place, shown))
    if gate is None:
        if len(_gates) >= MANY:
            for key, old in list(_gates.items()):
                if old.idle:
                    _gates.pop(key, None)
        gate = _gates.setdefault((place, shown), Gate(place, shown))
    return gate


os.register_at_fork(after_in_child=_gates.clear)  # a lock of the parent may be held, and its probes never end here
