"""How the services are asked about certificates: their refusals in their own words, which stand in the body."""

import re
from dataclasses import replace
from functools import partial

from ctadata_providers.config import Config
from ctadata_providers.credentials import Credential
from ctadata_providers.credentials.resolve import origin
from ctadata_providers.errors import CtaError
from ctadata_providers.session import Request, Response
from ctadata_providers.session.admission import Pass
from ctadata_providers.session.redirects import Hop
from ctadata_providers.session.services import ServiceSession
from ctadata_providers.session.status import EXCERPT_BYTES, scrubbed

_PAGE = re.compile(r"\s*<(?:!doctype|html)", re.IGNORECASE)
LOGIN_PAGE = 401
"""What a redirect to the login page of the hub is taken for."""


class Refusal(CtaError):
    """An answer other than success.

    Args:
        status: The HTTP status; 401 when the answer led to the login page.
        words: What the service says.
        meant: The error that it would be elsewhere.
    """

    def __init__(self, status: int, words: str, meant: CtaError) -> None:
        super().__init__(meant.message, path=meant.path, remedy=meant.remedy)
        self.status = status
        self.words = words
        self.meant = meant


class WordySession(ServiceSession):
    """Exchanges with a service; what it refuses is raised as `Refusal`."""

    def _error(self, response: Response, request: Request, hop: Hop, admitted: Pass) -> CtaError:
        secret = admitted.token.value if admitted.token else None
        words = words_of(response, secret)
        meant = super()._error(replace(response, reason=words), request, hop, admitted)
        return Refusal(response.status, words, meant)


class OpenSession(WordySession):
    """The same without the hub token, for what a service tells everybody."""

    def __init__(self, config: Config, url: str) -> None:
        super().__init__(config, url)
        self._find = partial(Credential, home=origin(url))


class UploadSession(WordySession):
    """The same with the upload routes: there 401 is a missing right, for a bad token is sent to the login page."""

    def _meant(self, response: Response, method: str) -> Response:
        lacks_right = response.status == LOGIN_PAGE and not self._leads_to_hub(response.headers.get("location", ""))
        return super()._meant(replace(response, status=403) if lacks_right else response, method)


def is_page(body: bytes) -> bool:
    """Tell whether an answer is a page for people, which no service gives to what is asked here."""
    return _PAGE.match(body[:EXCERPT_BYTES].decode("utf-8", "replace")) is not None


def words_of(response: Response, secret: str | None = None) -> str:
    """Return what a service says: a text is its own, a page is not."""
    text = response.body[:EXCERPT_BYTES].decode("utf-8", "replace")
    plain = "" if is_page(response.body) else " ".join(re.sub(r"<[^>]*>", " ", text).split())
    return scrubbed(plain or response.reason, [secret] if secret else [])
