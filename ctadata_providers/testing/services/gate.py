"""Who may use a service: tokens of the hub, as HubOAuth checks them."""

import re
import secrets
from collections.abc import Callable
from urllib.parse import quote, urlencode

from aiohttp import web

from ctadata_providers.testing.exchange import Exchange, Refusal
from ctadata_providers.testing.services.hub import AUTHORIZE_PATH, USER_PATH, Hub, HubUser
from ctadata_providers.testing.services.peers import BrokenError, Peer

_CACHE_SECONDS = 60.0
_HUB_PATIENCE = 20.0
_SCHEME = "Bearer "


class Answered(Exception):
    """A request is answered before its time.

    Args:
        response: The answer.
    """

    def __init__(self, response: web.Response) -> None:
        super().__init__()
        self.response = response


class Gate:
    """The gate of one service.

    Args:
        service: Its name.
        hub: Who knows the tokens.
        peer: The hub as the service reaches it.
        clock: Gives the time in seconds.
    """

    def __init__(self, service: str, hub: Hub, peer: Peer, clock: Callable[[], float]) -> None:
        self._service = service
        self._hub = hub
        self._peer = peer
        self._clock = clock
        self._known: dict[str, tuple[HubUser, float]] = {}

    def forget(self) -> None:
        """Forget what the hub has said."""
        self._known.clear()

    async def admit(self, exchange: Exchange, *, tells: bool) -> HubUser:
        """Return who asks.

        Args:
            exchange: The request.
            tells: Whether a client that sends JSON is told that its token is refused, and not sent to a login.

        Raises:
            Answered: When nobody is let in.
            Refusal: 500 when the hub does not answer.
        """
        header = exchange.headers.get("Authorization", "")
        bearer = header.removeprefix(_SCHEME) if header.startswith(_SCHEME) else ""
        token = exchange.query.get("token") or bearer
        user = await self._user(exchange, token) if token else None
        if user is None:
            raise Answered(self.turn_away(exchange, tells=tells))
        if not user.may_use(self._service):
            text = (
                "Access denied, token scopes are insufficient. If you need access to this service, please contact "
                "CTA-CH DC team at EPFL."
            )
            raise Answered(web.Response(status=403, text=text, content_type="text/html"))
        return user

    def turn_away(self, exchange: Exchange, *, tells: bool) -> web.Response:
        """Return the answer to a request without a good token."""
        if tells and exchange.headers.get("Content-Type") == "application/json":
            text = '{"message":"Invalid or missing Bearer token"}\n'
            return web.Response(status=401, text=text, content_type="application/json")
        client, prefix = f"service-{self._service}", f"/services/{self._service}/"
        state = secrets.token_urlsafe(24)
        query = urlencode(
            {
                "client_id": client,
                "redirect_uri": f"{prefix}oauth_callback",
                "response_type": "code",
                "state": state,
            },
            quote_via=quote,
            safe="",
        )
        response = web.Response(status=302, headers={"Location": f"{AUTHORIZE_PATH}?{query}"})
        response.set_cookie(f"{client}-oauth-state", state, path="/")
        return response

    async def _user(self, exchange: Exchange, token: str) -> HubUser | None:
        """Return whose token it is: as the hub says, or said within the last minute."""
        user, until = self._known.get(token, (None, 0.0))
        if user is not None and self._clock() < until:
            return user
        try:
            await self._peer.meet(exchange, "GET", USER_PATH, patience=_HUB_PATIENCE)
        except (BrokenError, Refusal) as error:
            raise Refusal(500, "Failed to check authorization at the hub") from error
        user = self._hub.user(token)
        # What is refused is asked for anew, what was good is good for a minute, revoked or not.
        self._known.pop(token, None)
        if user is not None:
            self._known[token] = user, self._clock() + _CACHE_SECONDS
        return user


def reason_of(text: str) -> str:
    """Return a text as a status line can hold it."""
    return re.sub(r"[^\x20-\x7e]", "?", text)
