"""Which token a request carries, whether it may be sent now, and what a refusal of it means."""

import os
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Self

from ctadata_providers.credentials import ClientCertificate, Credential, Token
from ctadata_providers.errors import CredentialError, TransientError
from ctadata_providers.forks import fork_safe_lock
from ctadata_providers.session.futures import Future
from ctadata_providers.session.gates import REFUSED_PAUSE, Gate, Probe, gate_of, known_gate
from ctadata_providers.session.redirects import Hop
from ctadata_providers.session.status import Response
from ctadata_providers.session.tasks import following, in_thread, wait

LONGEST_END = 3.0
"""Seconds at the end of a token's life in which it is sent by one request at a time: the door may call it over.

Its clock is known to the second (RFC 9110), and a request takes some time to arrive.
"""
END_FRACTION = 0.2
"""The same of a token that lives for seconds, as a part of its life."""
LENIENT_SECONDS = 1.0
"""For so long a token that the server still accepts long after its end is sent without more ado."""
TRANSIENT_SECONDS = 1.0
"""Seconds after which a source of tokens that was away is asked again."""
WRITING_SECONDS = 3.0
"""For so long a client certificate that was good may be missing or half a file: few tools replace a proxy at once."""
_UNDECIDED = frozenset({401, 408, 429})
CONTINUE = 100


@dataclass(slots=True)
class Pass:
    """What a request may show; a context manager that ends the turn of one who tries.

    Attributes:
        token: The token to send.
        certificate: What tells the client certificate that is shown from others.
        gate: What is known of it at that server.
        probe: Set when others wait for what becomes of this request.
    """

    token: Token | None = None
    certificate: Hashable = None
    gate: Gate | None = None
    probe: Probe | None = None

    @property
    def shown(self) -> Hashable:
        """What tells the credential from others, None when there is none; secret, so that no variable keeps it."""
        return self.certificate if self.token is None else self.token.value

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.probe is not None:
            self.probe.end()


_NOTHING = Pass()


@dataclass(frozen=True, slots=True)
class _Renewal:
    """One attempt to get another token, for all who wait for it."""

    rejected: str = field(repr=False)
    newer: Future[Token | None] = field(repr=False)
    begun: float = field(default_factory=time.monotonic)
    pid: int = field(default_factory=os.getpid)

    def settles(self, rejected: str) -> bool:
        """Tell whether there is no use in another attempt for now."""
        if self.rejected != rejected or self.pid != os.getpid():
            return False
        if not self.newer.done():
            return True
        if self.newer.cancelled():
            return False
        away = isinstance(self.newer.exception(), TransientError)
        return time.monotonic() < self.begun + (TRANSIENT_SECONDS if away else REFUSED_PAUSE)


class Admission:
    """Decides for the requests of a session; thread-safe.

    Args:
        credential: Returns the session's credential.
        clock_ahead: Returns how many seconds the door's clock is ahead of ours, None when it has not told.
        announce: Told of every new token.
        advice: Returns what to do about a credential that was just refused.
    """

    def __init__(
        self,
        credential: Callable[[], Credential],
        *,
        clock_ahead: Callable[[], float | None],
        announce: Callable[[str], object] | None,
        advice: Callable[[], str],
    ) -> None:
        self._credential = credential
        self._clock_ahead = clock_ahead
        self._announce = announce
        self._advice = advice
        self._announced = ""
        self._lock = fork_safe_lock()
        self._renewal: _Renewal | None = None
        self._certified_until = 0.0
        self._renews_early = True

    def at_once(self, hop: Hop) -> Pass | None:
        """Return the pass of a request that need not wait for anything, None when `admit` must be asked.

        Raises:
            CredentialError: When the client certificate cannot be used.
            TransientError: When it is being written.
        """
        if not hop.with_credential:
            return _NOTHING
        credential = self._credential()
        if credential.has_token:
            token = credential.ready()
            if token is None or token.value != self._announced:
                return None
            now = Pass(token)
        elif credential.certificate is not None:
            now = Pass(None, self._certificate(credential.certificate))
        else:
            return _NOTHING
        gate = known_gate(hop.place, now.shown)
        if gate is None or gate.open_until <= time.time():
            return None
        now.gate = gate
        return now

    async def admit(self, hop: Hop) -> Pass:
        """Return the pass of a request that carries the credential, when its turn has come.

        Raises:
            CredentialError: When there is no credential that can be used, or the server has just refused it.
            TransientError: When whoever gives the tokens is away.
        """
        now = await self._current()
        if now.shown is None:
            return _NOTHING
        while True:
            gate = gate_of(hop.place, now.shown)
            if gate.open_until > time.time():
                return replace(now, gate=gate)
            if time.monotonic() < gate.refused_until:
                now = await self._successor(now, hop, gate)
                continue
            newer = await self._renewed_early(now.token)
            if newer is not None:
                now = Pass(newer)
                continue
            turn = gate.enter()
            if not isinstance(turn, Probe):
                await wait(turn)
                now = await self._current()
                continue
            if await self._nobody_knows(turn, gate, now.token):
                return replace(now, gate=gate, probe=turn)

    def heard(self, answer: Response, admitted: Pass) -> None:
        """Take note of the head of an answer, as soon as it is there: those who wait for it go on."""
        status = answer.status
        if admitted.probe is None or self.refuses(answer, admitted):
            return
        if status == CONTINUE or (200 <= status < 500 and status not in _UNDECIDED):
            admitted.probe.accept(self._open_until(admitted.token))

    def refuses(self, answer: Response, admitted: Pass) -> bool:
        """Tell whether an answer means that the credential is no longer any good.

        XRootD answers 403 to everything; by that alone an expired token cannot be told from a missing right. So its own
        `exp` is asked, by the door's clock, which is told in whole seconds.
        """
        if admitted.gate is None:
            return False
        if answer.status == 401:
            return True
        return answer.status == 403 and admitted.token is not None and admitted.token.dead(self._door_time() + 1.0)

    async def refused(self, admitted: Pass, hop: Hop, *, again: bool) -> bool:
        """Take note that the server refused the credential; tell whether there is another one by now.

        Args:
            admitted: What was sent.
            hop: Where to.
            again: Whether the request has been refused before: then no other credential is asked for.

        Raises:
            CredentialError: When the source that should give another one does not.
            TransientError: When whoever gives it is away.
        """
        gate = admitted.gate
        if gate is None:
            return False
        if gate.refuse():
            await wait(in_thread(gate.tell_refused, admits=True))
        if admitted.probe is not None:
            admitted.probe.end()
        if again or gate.final:
            return False
        return await self._other(admitted, hop) is not None

    def refused_at_once(self, admitted: Pass) -> None:
        """Take note that the server refused what `at_once` let pass; what to show instead is the next one's affair."""
        if admitted.gate is not None and admitted.gate.refuse():
            in_thread(admitted.gate.tell_refused, admits=True)

    async def _nobody_knows(self, probe: Probe, gate: Gate, token: Token | None) -> bool:
        """Ask the other processes about a credential; tell whether it is on this request to find out."""
        until = self._good_until(token)
        try:
            word = await probe.consult(trusting=until > time.time())
        except BaseException:
            probe.end()
            raise
        if word is None:
            return True
        if word == "good":
            gate.accept(until)
        else:
            gate.replaces_refused |= word == "refused again"
            gate.refuse()
        probe.end()
        return False

    async def _current(self) -> Pass:
        """Return what there is to show now, not yet admitted."""
        credential = self._credential()
        if not credential.has_token:
            certificate = credential.certificate
            return _NOTHING if certificate is None else Pass(None, self._certificate(certificate))
        token = credential.ready()
        if token is None:
            token = await wait(following(in_thread(credential.token, admits=True)))
        if token is not None:
            self._tell(token)
        return Pass(token)

    def _tell(self, token: Token) -> None:
        if token.value != self._announced:
            self._announced = token.value
            if self._announce is not None:
                self._announce(token.value)

    async def _successor(self, refused: Pass, hop: Hop, gate: Gate) -> Pass:
        """Return what to show instead of a credential that was refused.

        Raises:
            CredentialError: When there is nothing else.
        """
        other = None if gate.final else await self._other(refused, hop)
        if other is None:
            what = "the client certificate" if refused.token is None else f"the token of {refused.token.source}"
            raise CredentialError(f"{hop.shown} has just refused {what}", remedy=self._advice())
        return other

    async def _other(self, refused: Pass, hop: Hop) -> Pass | None:
        """Return another credential than the refused one, None when there is none."""
        newer = None if refused.token is None else await self._renew(refused.token)
        # A file may have been written since it was looked at.
        other = Pass(newer) if newer is not None else await self._current()
        if other.shown in (None, refused.shown):
            return None
        if refused.token is not None:
            gate_of(hop.place, other.shown).replaces_refused = True
        return other

    async def _renewed_early(self, token: Token | None) -> Token | None:
        """Return another token instead of one that is about to end, None when it is not, or there is none yet."""
        if token is None or self._good_until(token) > time.time() or not self._renews_early:
            return None
        try:
            newer = await self._renew(token)
        except (CredentialError, TransientError):
            return None  # the present one may still do
        if newer is not None and self._good_until(newer) <= time.time():
            self._renews_early = False  # the door's clock is wrong: each token would seem to have ended
        return newer

    async def _renew(self, rejected: Token) -> Token | None:
        """Have the source give another token, once for all who ask.

        Raises:
            CredentialError: When the source cannot.
            TransientError: When whoever gives it is away.
        """
        with self._lock:
            renewal = self._renewal
            if renewal is None or not renewal.settles(rejected.value):
                ask = partial(self._credential().renew, rejected)
                renewal = self._renewal = _Renewal(rejected.value, in_thread(ask, admits=True))
        newer = await wait(following(renewal.newer))
        if newer is not None:
            self._tell(newer)
        return newer

    def _good_until(self, token: Token | None) -> float:
        """Return the epoch seconds, by our clock, until which a token can be trusted to be alive at the door."""
        if token is None or token.expires_at is None:
            return float("inf")
        life = float("inf") if token.issued_at is None else token.expires_at - token.issued_at
        return token.expires_at - (self._clock_ahead() or 0.0) - min(LONGEST_END, END_FRACTION * life)

    def _open_until(self, token: Token | None) -> float:
        """Return the epoch seconds until which a token that was just accepted is sent without more ado."""
        until, now = self._good_until(token), time.time()
        # About its end each request goes alone. Long after it, that clock is not what the server goes by.
        return now + LENIENT_SECONDS if now > until + 2 * LONGEST_END else until

    def _door_time(self) -> float:
        return time.time() + (self._clock_ahead() or 0.0)

    def _certificate(self, certificate: ClientCertificate) -> Hashable:
        """Return what tells a client certificate from others, having made sure that it can be used now.

        Raises:
            CredentialError: When it cannot be used.
            TransientError: When it was good a moment ago, and somebody is about to write it anew.
        """
        try:
            state = certificate.check()
        except CredentialError as error:
            if time.monotonic() < self._certified_until and certificate.is_being_written():
                raise TransientError(error.message, path=error.path, remedy=error.remedy) from error
            raise
        self._certified_until = time.monotonic() + WRITING_SECONDS
        return str(certificate.cert_file), state
