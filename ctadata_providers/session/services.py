"""HTTP with the CTA services: what their answers mean, and that their redirects are never followed.

A refused token shows as a redirect to the hub's login page, which answers 200: followed, it would pass for content.
Other redirects are the storage's own, passed on by the service; what they lead to is not for its clients.
"""

from dataclasses import replace
from functools import partial
from urllib.parse import urljoin, urlsplit

from ctadata_providers.config import Config
from ctadata_providers.credentials.hub import hub_credential, new_token
from ctadata_providers.errors import CredentialError, CtaError, PermissionDeniedError, UnsupportedError
from ctadata_providers.session import Request, Response, Session
from ctadata_providers.session.admission import Pass
from ctadata_providers.session.redirects import REDIRECTS, Hop, shown

JSON = "application/json"
"""The Content-Type, without a charset, with which a service tells a bad token by 401 instead of by a redirect."""
_AUTHORIZE = "/hub/api/oauth2/authorize"
_CERTIFICATE = ("any certificate configured", "certificate is invalid", "while retrieving certificate")
_LACKS_SCOPE = "token scopes are insufficient"


class RedirectedError(UnsupportedError):
    """The service passes a redirect of its storage on, which it does not follow."""


class ServiceSession(Session):
    """Exchanges with one service or hub, with the hub token.

    Args:
        config: The settings.
        url: The service; the token is bound to its origin.
    """

    def __init__(self, config: Config, url: str) -> None:
        super().__init__(config, find=partial(hub_credential, config, url))
        self._url = url

    def _meant(self, response: Response, method: str) -> Response:
        """Take a redirect to the hub for what it is: the token is refused."""
        if response.status in REDIRECTS and self._leads_to_hub(response.headers.get("location", "")):
            return replace(response, status=401, reason="sent to the hub's login page")
        return super()._meant(response, method)

    def _leads_to_hub(self, location: str) -> bool:
        hub = urlsplit(self.config.hub or urljoin(self._url, "/hub/"))
        try:
            target = urlsplit(urljoin(self._url, location))
        except ValueError:
            return False
        if target.path.endswith(_AUTHORIZE):
            return True  # also where the hub has a name of its own
        return target.hostname == hub.hostname and target.path.startswith((hub.path, "/hub/"))

    def _note(self, response: Response, hop: Hop) -> None:
        """Learn what the storage is: that only the answers tell which the service passes on from it."""
        passed_on = response.ok or response.status == 404
        if not (passed_on and hop.url.startswith(f"{self._url}webdav/")):
            own = {name: value for name, value in response.headers.items() if name != "server"}
            response = replace(response, headers=own)
        super()._note(response, hop)

    def _heard(self, response: Response, hop: Hop, admitted: Pass) -> None:
        super()._heard(self._meant(response, ""), hop, admitted)

    def _next_hop(self, hop: Hop, response: Response, request: Request, admitted: Pass) -> Hop:
        location = response.headers.get("location", "")
        try:
            where = shown(urljoin(hop.shown, location))
        except ValueError:
            where = "nowhere"
        raise RedirectedError(
            f"cannot {request.act} {request.path}: {hop.shown} answered {response.status}, a redirect to {where}",
            path=request.path,
            status=response.status,
            remedy="the storage behind the service redirects: use its door (--backend webdav, door_url)",
        )

    def _after_refusal(self) -> str:
        return f"{new_token(self.config, self._url)}; this one is not sent for 20 s"

    def _error(self, response: Response, request: Request, hop: Hop, admitted: Pass) -> CtaError:
        error = super()._error(response, request, hop, admitted)
        if response.status == 401:
            return CredentialError(
                f"{error.message}: the hub token is refused",
                path=request.path,
                remedy=new_token(self.config, self._url),
            )
        if response.status == 403 and _LACKS_SCOPE in _text(response):
            remedy = new_token(self.config, self._url)
            return PermissionDeniedError(error.message, path=request.path, status=403, remedy=remedy)
        if response.status == 400 and any(words in _text(response) for words in _CERTIFICATE):
            told = super()._error(replace(response, reason=""), request, hop, admitted)  # in the words of the body
            return CredentialError(
                told.message,
                path=request.path,
                remedy="the service has no usable certificate of yours: 'ctadata certificate upload' gives it one",
            )
        return error


def _text(response: Response) -> str:
    return f"{response.reason} {response.body.decode('utf-8', 'replace')}".lower()
