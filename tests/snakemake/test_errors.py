"""What goes wrong at the first question is one short error, wherever Snakemake asks it."""

import pytest

from ctadata_providers.testing import FakeCta
from tests.snakemake.conftest import Workdir

ONLY_OUT = """
rule here:
    input: "here.txt"
    output: storage.cta("cta://lst/users/out.txt")
    shell: "cp {input} {output}"
"""
OUT_BETWEEN = """
rule all:
    input: "end.txt"

rule end:
    input: storage.cta("cta://lst/users/out.txt")
    output: "end.txt"
    shell: "cp {input} {output}"
"""


@pytest.mark.parametrize("workflow", [ONLY_OUT, OUT_BETWEEN + ONLY_OUT, OUT_BETWEEN], ids=["out", "between", "in"])
@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"BEARER_TOKEN": "expired"}, "CredentialError"),
        ({"CTA_PROFILE": "nobody"}, "ConfigError"),
        ({"CTA_DOOR_URL": "https://127.0.0.1:1", "CTA_RETRIES": "0"}, "TransientError"),
    ],
    ids=["token", "profile", "door"],
)
def test_a_credential_profile_or_door_of_no_use_is_one_clear_error_also_of_an_output(
    workdir: Workdir, fake_cta: FakeCta, workflow: str, environ: dict[str, str], error: str
) -> None:
    workdir.environ |= environ
    if "BEARER_TOKEN" in environ:
        workdir.environ["BEARER_TOKEN"] = fake_cta.make_token(lifetime=-600)
    (workdir.path / "here.txt").touch()
    workdir.write(workflow)
    for options in ((), ("--dry-run",)):
        text = workdir.fail(*options)

        assert f"\n{error}: " in text
        assert "cta://lst/users/out.txt" in text
        assert "Traceback" not in text
        assert len(text.splitlines()) < 30
