"""npm's certified oidc-provider: an issuer that somebody else wrote, with its own pages for the user."""

import html
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import requests

from tests.servers.process import ServerError, free_port, port_answers, program, running, tail

SOURCES = Path(__file__).parents[1] / "real" / "oidc_provider"
_FORM = re.compile(r'<form[^>]* action="([^"]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
_PAGES = 6
"""So many forms at most has the way from the code to "Sign-in Success": code, confirmation, login, consent."""


@dataclass(frozen=True, kw_only=True)
class OidcProvider:
    """A running provider, with a public client `ctadata` and a confidential one, `robot`.

    Attributes:
        issuer: Its URL.
        robot_secret: The secret of `robot`.
        log: One line for each grant, refused grant and revoked family.
    """

    issuer: str
    robot_secret: str = field(repr=False)
    log: Path

    def approve(self, verification_uri_complete: str, *, user: str) -> None:
        """Do what the user does in a browser: open the address, confirm the code, log in, consent."""
        self._answer(verification_uri_complete, {"login": user, "password": "any"}, end="Sign-in Success")

    def deny(self, verification_uri_complete: str) -> None:
        """Press "Abort" instead."""
        self._answer(verification_uri_complete, {"abort": "yes"}, end="request was interrupted")

    def _answer(self, address: str, fields: dict[str, str], *, end: str) -> None:
        with requests.Session() as browser:
            browser.trust_env = False
            page = browser.get(address, timeout=10)
            for _ in range(_PAGES):
                form = _FORM.search(page.text)
                if end in page.text or form is None:
                    break
                action = urljoin(page.url, html.unescape(form[1]))
                given = {name: html.unescape(value) for name, value in _HIDDEN.findall(page.text)}
                page = browser.post(action, data={**fields, **given}, timeout=10)
            if end not in page.text:
                raise ServerError(f"the provider answered {page.status_code} at {page.url}; its log:\n{tail(self.log)}")

    def count(self, event: str) -> int:
        """Return how often an event is in the log, such as `grant refresh_token` or `revoked`."""
        return self.log.read_text().splitlines().count(event)


@contextmanager
def oidc_provider(folder: Path, *, life: int) -> Iterator[OidcProvider]:
    """Install the provider into a folder, in the version that its package.json names, and run it.

    Args:
        folder: An empty folder.
        life: Seconds that an access token lives.
    """
    for name in ("package.json", "provider.mjs"):
        shutil.copy(SOURCES / name, folder)
    log, port, secret = folder / "provider.log", free_port(), os.urandom(16).hex()
    # No script of any package is run.
    install = [
        program("npm", "npm"),
        "install",
        "--no-package-lock",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
    ]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=100)
    if done.returncode:
        raise ServerError(f"npm could not install oidc-provider:\n{done.stderr[-2000:]}")
    with running(
        [program("node", "nodejs"), "provider.mjs", str(port), str(life)],
        log=log,
        ready=lambda: port_answers(port),
        environ={"ROBOT_SECRET": secret},
        cwd=folder,
    ):
        yield OidcProvider(issuer=f"http://localhost:{port}", robot_secret=secret, log=log)
