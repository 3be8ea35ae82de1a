"""`ctadata whoami` and `doctor` with the services: what their hub tells."""

import json
import re
from pathlib import Path

import pytest

from ctadata_providers.cli import main
from ctadata_providers.testing import FakeCta


def test_whoami_is_the_own_folder_that_the_hub_and_the_storage_tell(
    fake_cta_services: FakeCta, cta_services_environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["whoami"])

    assert (code, capsys.readouterr().out) == (0, "/lst/users/alice\n")


def test_doctor_tells_what_the_documentation_says(
    fake_cta_services: FakeCta, cta_services_environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "command-line.md").read_text("utf-8")
    (row,) = re.findall(r"^\| `doctor` \| .*; with the services (.*) \|$", page, re.MULTILINE)
    code = main(["doctor", "--json"])
    told = json.loads(capsys.readouterr().out)

    assert (code, told["user"], told["home"], told["error"]) == (0, "alice", "/lst/users/alice", None)
    assert list(told) == re.findall(r"`(\w+)`", row)
