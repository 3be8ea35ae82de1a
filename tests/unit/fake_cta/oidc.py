"""A client of an issuer that sends exactly what a test says."""

import base64
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import requests

from ctadata_providers.testing import FakeCta

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Return the header that proves a client by HTTP Basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


@dataclass
class Answer:
    """Status and JSON of an answer."""

    status: int
    json: dict[str, Any]

    @property
    def error(self) -> tuple[int, str]:
        return self.status, str(self.json.get("error", ""))


class Oidc:
    """Asks the endpoints of a FakeCta's issuer, as one of its clients."""

    def __init__(self, cta: FakeCta, client: str = "public") -> None:
        self.cta = cta
        self.client = cta.issuer.client(client)
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(cta.ca_file) if cta.ca_file else True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()

    def get(self, path: str, headers: dict[str, str] | None = None) -> requests.Response:
        return self.session.get(
            f"{self.cta.issuer.url}{path}",
            headers=headers,
            timeout=10,
            allow_redirects=False,
            auth=lambda request: request,
        )

    def post(self, path: str, form: dict[str, str], headers: dict[str, str] | None = None) -> requests.Response:
        return self.session.post(
            f"{self.cta.issuer.url}{path}",
            data=form,
            headers=headers,
            timeout=10,
            allow_redirects=False,
            auth=lambda request: request,
        )

    def ask(self, endpoint: str, **form: str) -> Answer:
        """Ask an endpoint as the client, which proves itself in the form."""
        known = {"client_id": self.client.client_id, "client_secret": self.client.secret}
        answer = self.post(f"/protocol/openid-connect/{endpoint}", {k: v for k, v in known.items() if v} | form)
        return Answer(answer.status_code, answer.json() if answer.content else {})

    def begin(self, scope: str = "openid offline_access", **form: str) -> dict[str, Any]:
        """Begin a login."""
        answer = self.ask("auth/device", scope=scope, **form)
        assert answer.status == 200, answer
        return answer.json

    def poll(self, begun: dict[str, Any]) -> Answer:
        """Ask for the tokens of a login."""
        return self.ask("token", grant_type=DEVICE_GRANT, device_code=begun["device_code"])

    def refresh(self, refresh_token: str, **form: str) -> Answer:
        """Ask for new tokens."""
        return self.ask("token", grant_type="refresh_token", refresh_token=refresh_token, **form)

    def status_at_door(self, token: str, method: str = "GET", path: str = "/") -> int:
        """Return what the door says to an access token."""
        answer = self.session.request(
            method,
            f"{self.cta.door_url}{path}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
            allow_redirects=False,
            auth=lambda request: request,
        )
        return answer.status_code
