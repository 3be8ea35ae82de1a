"""A scripted door that looks at tokens, and tokens that say what a test wants."""

import base64
import json
import time
from collections.abc import Callable
from itertools import count

from tests.faults.scripted import RIGHT, Act, Door, Exchange

_serial = count()


def jwt(*, life: float = 3600.0, age: float = 0.0) -> str:
    """Return an unsigned JWT, another one each time, that began `age` seconds ago and ends in `life` seconds."""
    now = time.time()
    claims = {"iat": now - age, "exp": now + life, "jti": next(_serial), "scope": "storage.read:/ storage.modify:/"}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({}, claims)]
    return ".".join([*parts, "c2lnbmF0dXJl"])


class Guard:
    """Refuses the tokens that a test calls bad, whatever is asked for.

    Args:
        door: The server.
        good: Tells which tokens are accepted.
        code: The status of a refusal.
        refused: Called before a refusal is answered.
    """

    def __init__(
        self,
        door: Door,
        good: Callable[[str], bool],
        *,
        code: int = 401,
        refused: Callable[[], object] = lambda: None,
    ) -> None:
        self.seen: list[str] = []
        self.refusals: list[str] = []
        self._good, self._code, self._refused = good, code, refused
        for method, right in RIGHT.items():
            door.fault(method, self._act(right))

    def _act(self, right: Act) -> Act:
        def act(exchange: Exchange) -> None:
            token = exchange.asked.headers.get("authorization", "").removeprefix("Bearer ")
            self.seen.append(token)
            if self._good(token):
                right(exchange)
                return
            self.refusals.append(token)
            self._refused()
            exchange.answer(self._code)

        return act
