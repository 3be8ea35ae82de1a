"""What goes wrong at the first question is one short error, wherever Snakemake asks it."""

import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("output", "made"),
    [('"cta://lst/users/{n}"', ""), ('directory("cta://lst/users/{n}")', "/x")],
    ids=["file", "folder"],
)
def test_what_cannot_be_stored_because_the_token_has_ended_is_kept_out_of_the_way_of_the_next_run(
    workdir: Workdir, fake_cta: FakeCta, output: str, made: str
) -> None:
    token, after, content = (workdir.path / name for name in ("token", "after", "content"))
    del workdir.environ["BEARER_TOKEN"]
    workdir.environ["BEARER_TOKEN_FILE"] = str(token)
    workdir.write(f"""
rule all:
    input: storage.cta("cta://lst/users/out")

checkpoint long:
    output: storage.cta({output})
    shell: "mkdir -p $(dirname {{output}}{made}); cat content >> {{output}}{made}; cp after token"
""")
    token.write_text(fake_cta.token)
    after.write_text(fake_cta.make_token(lifetime=-600))
    content.write_text("first")
    text = workdir.fail()
    kept = workdir.copies / "lst" / "users" / "out.not-stored"

    assert "CredentialError" in text
    assert f"kept as {kept.relative_to(workdir.path)}" in text
    assert Path(f"{kept}{made}").read_text() == "first"
    assert not fake_cta.paths()

    for file in (token, after):
        file.write_text(fake_cta.token)
    content.write_text("second")
    workdir.succeed()

    assert fake_cta.paths() == [f"/lst/users/out{made}"]
    assert fake_cta.get(f"/lst/users/out{made}") == b"second"
    assert Path(f"{kept}{made}").read_text() == "first"


def test_what_was_kept_can_be_stored_by_hand_and_the_workflow_goes_on(workdir: Workdir, fake_cta: FakeCta) -> None:
    (workdir.path / "kept").write_text("result")
    workdir.write("""
rule all:
    input: "end"

rule end:
    input: storage.cta("cta://lst/users/out")
    output: "end"
    shell: "cp {input} {output}"

rule long:
    output: storage.cta("cta://lst/users/out")
    shell: "exit 1"
""")
    done = subprocess.run(
        [sys.executable, "-m", "ctadata_providers.cli", "put", "kept", "cta://lst/users/out"],
        cwd=workdir.path,
        env=workdir.environ,
        timeout=60,
    )
    workdir.succeed()

    assert done.returncode == 0
    assert (workdir.path / "end").read_text() == "result"
