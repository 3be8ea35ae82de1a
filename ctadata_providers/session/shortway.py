"""Whether brief requests may go to a door now, and what their unusual ends mean."""

import time
from collections import Counter
from collections.abc import Callable
from functools import cached_property

from ctadata_providers.config import Config
from ctadata_providers.errors import CtaError, TransientError
from ctadata_providers.session import habits
from ctadata_providers.session.admission import Admission, Pass
from ctadata_providers.session.brief import Ask, Brief, Detour, Outcome, Way
from ctadata_providers.session.exchange import Wire
from ctadata_providers.session.limits import limiter
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.redirects import REDIRECTS, Hop
from ctadata_providers.session.request import Request
from ctadata_providers.session.status import PHRASES, Response

WAY_SECONDS = 0.05
"""For so long the short way is taken to be open as it was: less than between two looks at a file with a token."""
FEW_DETOURS = 4
"""So many requests of a kind may go the short way in vain before it is asked whether that is worth it."""


class ShortWay:
    """The short way of a session to its door; thread-safe.

    Args:
        config: The settings.
        admission: Decides about the credential.
        wire: Returns with what a request goes.
        error: Returns what an answer means.
    """

    def __init__(
        self,
        config: Config,
        admission: Admission,
        *,
        wire: Callable[[Hop, Pass], Wire],
        error: Callable[[Response, Request, Hop, Pass], CtaError],
    ) -> None:
        self._config = config
        self._admission = admission
        self._wire = wire
        self._error = error
        self._way: Way | None = None
        self._redirects = False
        self._begun: Counter[str] = Counter()
        self._detours: Counter[str] = Counter()

    def begin(
        self, brief: Brief, ask: Ask, url: str, path: str, headers: tuple[str, ...] = (), body: bytes | None = None
    ) -> Brief | None:
        """Begin a request with a small answer, and return it; None when the way is not open now.

        It is where the credential has been accepted, nothing has to wait, nothing has just broken, and the door does
        not redirect. The future ends with a `TransientError` when the long way has to wait first, else with a `Detour`.
        """
        way = self._way
        if way is None or not _is_open(way):
            way = self._way = self._opened()
        if way is None or self._redirects or not self.is_worth_it(ask.method):
            return None
        self._begun[ask.method] += 1
        brief.begin(way, ask, url, path, headers, body)
        return brief

    def is_worth_it(self, method: str) -> bool:
        """Tell whether it mostly leads to the end: it costs a request where it does not."""
        detours = self._detours.get(method, 0)
        return detours < FEW_DETOURS or detours * 4 < self._begun[method]

    def close(self) -> None:
        """Have it found out anew whether it is open."""
        self._way = None

    @cached_property
    def _home(self) -> Hop:
        return Hop(self._config.door_url, with_credential=True)

    def _opened(self) -> Way | None:
        """Return the way, if it is open now."""
        home, config = self._home, self._config
        admitted = self._admission.at_once(home)
        per_second = limiter(home.place, config.max_requests_per_second).per_second
        limited = config.limit_rate is not None or per_second is not None
        if admitted is None or limited:
            return None
        now = time.monotonic()
        broken_at = habits.broken_at(home.place)
        youngest = 0 if broken_at is None else int(now - broken_at)
        if broken_at is not None and not youngest:
            return None
        until = now + WAY_SECONDS if admitted.certificate is None else now  # its file may be gone the next moment
        if admitted.gate is not None:
            until = min(until, now + admitted.gate.open_until - time.time())
        wire = self._wire(home, admitted)
        return Way(wire, admitted, home.place, broken_at, youngest, curl_loop(), self._explained, until)

    def _explained(self, outcome: Outcome) -> BaseException:
        home, ask = self._home, outcome.ask
        self.close()
        self._detours[ask.method] += 1
        if outcome.fault:
            habits.broke(home.place, unasked=ask.method == "PUT")
            return Detour(outcome.fault)
        wait = {} if outcome.retry_after is None else {"retry-after": str(outcome.retry_after)}
        response = Response(outcome.status, PHRASES.get(outcome.status, ""), wait, home.shown)
        if outcome.status in REDIRECTS:
            self._redirects = True
            if ask.method == "PUT":
                habits.redirected(home.place)
        elif outcome.status == 401:
            self._admission.refused_at_once(outcome.admitted)
        request = Request(method=ask.method, url=home.url, path=outcome.path, act=ask.act)
        error = self._error(response, request, home, outcome.admitted)
        return error if isinstance(error, TransientError) else Detour(error.message)


def _is_open(way: Way) -> bool:
    """Tell whether a way is as it was when it was opened."""
    gate = way.admitted.gate
    return (
        time.monotonic() < way.until
        and (gate is None or gate.open_until > 0)  # a refusal closes it at once
        and habits.broken_at(way.place) == way.broken_at
        and way.loop is curl_loop()  # it is not in a forked process
    )
