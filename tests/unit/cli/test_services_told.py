"""`ctadata doctor` and `whoami` with the services: what their hub tells."""

import json
from typing import Any

import pytest

from ctadata_providers.cli import main
from ctadata_providers.testing import FakeCta


def test_doctor_tells_the_name_the_scopes_and_that_the_token_is_good(
    fake_cta_services: FakeCta, cta_services_environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    fake_cta_services.put("/lst/a", b"a")
    code = main(["doctor"])
    said = capsys.readouterr().out

    assert code == 0
    assert f"downloadservice {fake_cta_services.service_url}, hub {fake_cta_services.hub_url}" in said
    assert "hub token of alice" in said
    assert "access:services!service=downloadservice" in said
    assert said.endswith("next: nothing: it works\n")
    assert fake_cta_services.hub_token not in said


@pytest.mark.parametrize(("known", "words"), [(False, "hub/token"), (True, "lacks the scope")])
def test_doctor_tells_a_token_that_is_not_good(
    fake_cta_services: FakeCta,
    cta_services_environ: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    known: bool,
    words: str,
) -> None:
    token = fake_cta_services.make_hub_token(scope=False) if known else "0123456789abcdef0123456789abcdef"
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", token)
    code = main(["doctor", "--json"])
    said = capsys.readouterr().out
    told: dict[str, Any] = json.loads(said)

    assert code == 1
    assert words in said
    assert token not in said
    assert {step["name"]: step["state"] for step in told["steps"]}["credential"] == ("good" if known else "bad")
    assert "get a token with the scope access:services!service=downloadservice" in told["next"]


def test_whoami_is_the_own_folder_that_the_hub_and_the_storage_tell(
    fake_cta_services: FakeCta, cta_services_environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["whoami"])

    assert (code, capsys.readouterr().out) == (0, "/lst/users/alice\n")
