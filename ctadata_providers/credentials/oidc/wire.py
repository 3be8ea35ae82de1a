"""Authlib's OAuth client over our transport: our trust, no redirects, answers with an end."""

import http.client
import io
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any

import requests
import urllib3
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]  # Authlib has no types

from ctadata_providers.config import Config
from ctadata_providers.credentials.oidc.provider import seconds
from ctadata_providers.errors import ConfigError, TransientError
from ctadata_providers.transport.adapter import Adapter
from ctadata_providers.transport.proxies import proxy_for

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 15.0
"""A provider that is slower is away: who waits for it holds the lock of all processes."""
LONGEST_ANSWER = 1024 * 1024
PATIENCE = 2.0
"""A whole answer may take this many times what its first byte may."""
RETRY_AFTER = 20.0
"""After a 429 without a time."""
PIECE = 65536


class Http(OAuth2Session):  # type: ignore[misc]  # Authlib has no types
    """One client for one act; closing it ends its connections, so that nothing is shared over a fork.

    Args:
        config: Gives CAs and time-outs.
        **client: As Authlib's `OAuth2Session` takes them: name, secret, and how it is sent.
    """

    def __init__(self, config: Config, **client: Any) -> None:
        super().__init__(**client)
        self.trust_env = False  # neither ~/.netrc nor REQUESTS_CA_BUNDLE
        self.headers["Accept-Encoding"] = "identity"
        self.headers["User-Agent"] = "ctadata-providers"
        self._limits = min(config.connect_timeout, CONNECT_SECONDS), min(config.timeout, ANSWER_SECONDS)
        adapter = Adapter(config.ca_path)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    @property
    def auth_method(self) -> str:
        """How the client proves who it is."""
        return str(self.token_endpoint_auth_method)

    def get_json(self, url: str) -> Mapping[str, Any]:
        """Return the JSON object that stands at a URL.

        Raises:
            requests.RequestException: When it cannot be had.
            ValueError: When it is none.
            ConfigError: When there is none.
        """
        answer = self.request("GET", url, withhold_token=True, headers={"Accept": "application/json"})
        if answer.status_code != 200:
            raise ConfigError(
                f"there is no OpenID provider at {url} (HTTP {answer.status_code})", remedy="check the setting issuer"
            )
        return _object(answer)

    def post_form(self, url: str, form: Mapping[str, str], *, auth: Any) -> Mapping[str, Any]:
        """Return the JSON object that answers a form.

        Raises:
            requests.RequestException: When it cannot be had.
            ValueError: When it is none.
            AuthlibBaseError: When it tells an error.
        """
        answer = _object(self.request("POST", url, data=dict(form), auth=auth, headers={"Accept": "application/json"}))
        self._check_error(answer)
        return answer

    def parse_response_token(self, resp: requests.Response) -> Mapping[str, Any]:
        """Return what answers a token request, in place of Authlib's method, which trusts its numbers.

        Raises:
            ValueError: When it is no JSON object.
            AuthlibBaseError: When it tells an error.
        """
        answer = _object(resp)
        self._check_error(answer)
        answer["expires_in"] = seconds(answer.get("expires_in"))
        dropped = {"expires_at"} if answer.get("refresh_token") else {"expires_at", "refresh_token"}
        self.token = {name: value for name, value in answer.items() if name not in dropped}
        told: Mapping[str, Any] = self.token
        return told

    def check_done(self, answer: requests.Response) -> None:
        """Make sure that something without an answer of its own was done, which Authlib does not look at.

        Raises:
            ValueError: When the answer is an error that cannot be understood.
            AuthlibBaseError: When it tells an error.
        """
        if answer.status_code != 200:
            told = _object(answer)
            self._check_error({**told, "error": told.get("error") or f"http_{answer.status_code}"})

    def _check_error(self, answer: Mapping[str, Any]) -> None:
        if answer.get("error"):  # some write a null beside their tokens
            raise self.oauth_error_class(error=answer["error"], description=answer.get("error_description"))

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Send a request, and read its answer up to a limit.

        Raises:
            requests.RequestException: When there is no answer.
            TransientError: When the provider says that it is away.
            ConfigError: When it sends us elsewhere.
        """
        proxy = proxy_for(url)
        ours: dict[str, Any] = {
            "allow_redirects": False,  # a form with secrets goes to one place
            "timeout": self._limits,
            "stream": True,
            "proxies": {url.partition(":")[0]: proxy} if proxy else {},
        }
        answer: requests.Response
        try:
            with super().request(method, url, **{**options, **ours}) as answer:
                body = _body(answer, PATIENCE * self._limits[1])
        except (urllib3.exceptions.HTTPError, http.client.HTTPException) as error:
            raise requests.ConnectionError(error) from error
        answer.raw = io.BytesIO(body)
        if answer.is_redirect or 300 <= answer.status_code < 400:
            raise ConfigError(f"{url} redirects, which is not followed with secrets", remedy="check the setting issuer")
        if answer.status_code in (408, 429) or answer.status_code >= 500:
            raise TransientError(
                f"{url} answered HTTP {answer.status_code}",
                path=url,
                remedy="try again later",
                status=answer.status_code,
                retry_after=_retry_after(answer),
            )
        return answer


def reason(error: BaseException) -> str:
    """Say why there was no answer, by the kinds in the chain: their texts hold URLs and more."""
    chain = list(_chain(error))

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    if has(ssl.SSLCertVerificationError):
        return "its certificate could not be verified: check ca_path"
    if has(requests.exceptions.ProxyError):
        return "the proxy refused or is away"
    if has(requests.Timeout, TimeoutError):
        return "no answer in time"
    if has(ConnectionRefusedError):
        return "connection refused"
    return "the TLS connection broke" if has(ssl.SSLError) else "the connection failed or broke"


def forget_requests(error: BaseException) -> None:
    """Take the requests out of an exception and its causes: the forms in them hold secrets."""
    for link in _chain(error):
        if isinstance(link, requests.RequestException):
            link.request = link.response = None


def _chain(error: BaseException) -> Iterator[BaseException]:
    todo: list[object] = [error]
    seen: list[BaseException] = []
    while todo and len(seen) < 20:
        current = todo.pop()
        if isinstance(current, BaseException) and current not in seen:
            seen.append(current)
            yield current
            todo += [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]


def _body(answer: requests.Response, patience: float) -> bytes:
    """Return the body of an answer.

    Raises:
        requests.RequestException: When it is longer than any, or has no end in time.
    """
    body = bytearray()
    deadline = time.monotonic() + patience
    while chunk := answer.raw.read1(PIECE, decode_content=False):
        body += chunk
        if len(body) > LONGEST_ANSWER or time.monotonic() > deadline:
            raise requests.Timeout("the answer has no end")
    return bytes(body)


def _object(answer: requests.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except (ValueError, RecursionError):  # of requests it is a RequestException too, as a broken connection is
        told = None
    if not isinstance(told, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 (as the parser says it)
    return told


def _retry_after(answer: requests.Response) -> float | None:
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdecimal():
        return min(float(text), 600.0)
    return RETRY_AFTER if answer.status_code == 429 else None
