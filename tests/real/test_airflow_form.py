"""The connection's form in a real browser: fill, save, test. CTA_SCREENSHOTS=write renews the pictures of the docs."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.testing import FakeCta
from tests.servers.airflow import Airflow, standalone
from tests.servers.process import require_file

pytestmark = [pytest.mark.real, pytest.mark.soak, pytest.mark.timeout(600)]

PICTURES = Path(__file__).parents[2] / "docs" / "airflow"
MOST_BYTES = 150_000


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """An Airflow without DAGs and connections."""
    home, dags = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("dags")
    with standalone(home, dags, {}) as running:
        yield running


@pytest.fixture
def page(airflow: Airflow) -> Iterator[Any]:
    """The page of connections in Debian's chromium."""
    from playwright.sync_api import sync_playwright

    program = require_file("/usr/bin/chromium", "chromium")
    with sync_playwright() as playwright:
        # Its sandbox refuses to run as root; it sees nothing but this Airflow.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=options)
        opened = browser.new_page(viewport={"width": 1000, "height": 760})
        opened.set_default_timeout(60_000)
        opened.goto(f"{airflow.url}/connections")
        yield opened
        browser.close()


def picture(page: Any, name: str) -> None:
    """Take a picture for the documentation."""
    page.wait_for_timeout(500)  # what moves comes to rest
    taken = page.screenshot()

    assert len(taken) < MOST_BYTES
    if os.environ.get("CTA_SCREENSHOTS") == "write":
        (PICTURES / f"{name}.png").write_bytes(taken)


def fill(page: Any, conn_id: str, cta: FakeCta, token: str) -> Any:
    """Fill the form; return it."""
    page.get_by_role("button", name="Add Connection").first.click()
    form = page.get_by_role("dialog")
    form.locator("[name=connection_id]").fill(conn_id)
    form.get_by_role("combobox").fill("CTA")
    form.get_by_role("option", name="CTA data").click()
    host, _, port = cta.door_url.removeprefix("https://").partition(":")
    for name, value in {"host": host, "port": port, "password": token}.items():
        form.locator(f"[name={name}]").fill(value)
    if conn_id == "cta_default":
        picture(page, "connection")
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for name, value in {"ca_path": str(cta.ca_file), "retries": "1", "trusted_hosts": "*.example.org"}.items():
        form.locator(f"[name=element_{name}]").fill(value)
    form.locator("[name=element_retries]").press("Tab")
    return form


def try_stored(page: Any, conn_id: str) -> tuple[bool, str]:
    """Press the button that tests a stored connection, and return what the page is told."""
    row = page.get_by_role("row").filter(has=page.get_by_role("cell", name=conn_id, exact=True))
    with page.expect_response(lambda response: "connections/test" in response.url) as told:
        row.get_by_role("button", name="Test Connection").click()
    answer = told.value.json()
    return answer["status"], answer["message"]


def test_the_form_is_filled_saved_and_tested(page: Any, airflow: Airflow) -> None:
    with FakeCta() as cta:
        fill(page, "cta_default", cta, cta.token).get_by_role("button", name="Save").click()
        good, message = try_stored(page, "cta_default")
        page.get_by_text("Latency").wait_for()
        picture(page, "connection-test")
        stored = airflow.ask("GET", "connections/cta_default")
        given = {name: value for name, value in json.loads(stored["extra"]).items() if value not in (None, False)}

        assert good
        for step in (f"Listed / at {cta.door_url} with a bearer token", "TLS:", "Scopes:", "Listing:", "Latency:"):
            assert step in message
        assert cta.token not in json.dumps(stored)
        assert (stored["conn_type"], stored["login"]) == ("cta", None)
        assert given == {"ca_path": str(cta.ca_file), "retries": 1, "trusted_hosts": ["*.example.org"]}


def test_what_is_wrong_is_told_on_the_page(page: Any) -> None:
    with FakeCta() as cta:
        wrong = cta.make_token(lifetime=-100)
        fill(page, "cta_wrong", cta, wrong).get_by_role("button", name="Save").click()
        good, message = try_stored(page, "cta_wrong")
        page.get_by_text("CredentialError").wait_for()

    assert not good
    assert "expired" in message
    assert wrong not in message
