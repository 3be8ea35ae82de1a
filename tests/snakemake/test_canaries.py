"""Whole workflows with secrets that must not be found anywhere: logs, job scripts, `.snakemake`, command lines."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from snakemake_storage_plugin_cta import StorageProvider

from ctadata_providers.testing import FakeCta
from tests.canaries import Canaries, CommandLines
from tests.snakemake.conftest import Workdir

WORKFLOW = """
RUNS = glob_wildcards(storage.cta("cta://lst/DL3/run_{run}.txt")).run

rule all:
    input: storage.cta(expand("cta://lst/users/{run}.txt", run=RUNS)), storage.cta("cta://forbidden/out.txt")

rule one:
    input: storage.cta("cta://lst/DL3/run_{run}.txt")
    output: storage.cta("cta://lst/users/{run}.txt")
    shell: "sleep 0.2; cp {input} {output}"

rule refused:
    input: storage.cta("cta://lst/DL3/run_1.txt")
    output: storage.cta("cta://forbidden/out.txt")
    shell: "cp {input} {output}"
"""
SUBMIT = """#!/bin/sh
cp "$1" jobscripts/
sh "$1" > "jobscripts/$(basename "$1").log" 2>&1 &
echo $!
"""
CLUSTER = (
    *("--executor", "cluster-generic", "--cluster-generic-submit-cmd", "sh submit.sh", "--jobs", "2"),
    *("--seconds-between-status-checks", "1", "--latency-wait", "2"),
)
SCOPE = "openid offline_access storage.read:/ storage.modify:/lst"


@pytest.fixture
def tried(workdir: Workdir, with_runs: Callable[[int], list[str]], tmp_path: Path) -> Workdir:
    """A workflow of which one job is refused; everything that it writes lies below `tmp_path`."""
    with_runs(1)
    workdir.write(WORKFLOW)
    (workdir.path / "submit.sh").write_text(SUBMIT)
    (workdir.path / "jobscripts").mkdir()
    (tmp_path / "tmp").mkdir()
    workdir.environ |= {"TMPDIR": str(tmp_path / "tmp")}
    return workdir


def log_in(workdir: Workdir, *options: str) -> list[str]:
    """Log in as a user does; return the secrets that are now in the store."""
    workdir.cta.issuer.configure(interval=0, scope=SCOPE)
    workdir.cta.issuer.approve_next()
    done = subprocess.run(
        [sys.executable, "-m", "ctadata_providers.cli", "login", *options],
        env=workdir.environ,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    return secrets_in(store(workdir))


def store(workdir: Workdir) -> Path:
    return Path(workdir.environ["HOME"]) / ".local" / "state" / "ctadata-providers"


def secrets_in(folder: Path) -> list[str]:
    """Return the secrets of the logins that are kept in a folder."""
    logins = [json.loads(path.read_text()) for path in folder.rglob("*.json")]
    return [login[name] for login in logins for name in ("access_token", "refresh_token")]


def run_watched(workdir: Workdir, canaries: Callable[[], Canaries], *options: str) -> None:
    """Run the workflow, and look for the canaries in all that it leaves and in all command lines."""
    with CommandLines(workdir.environ["HOME"]) as commands:
        outcome = workdir.run("--verbose", "--keep-going", *options)
    secret = canaries()

    assert outcome.code == 1, outcome.text
    assert [path for path in workdir.cta.paths() if "/users/" in path] == ["/lst/users/1.txt"]
    assert "PermissionDeniedError" in outcome.text + everything(workdir.path / "jobscripts")
    # The watch has seen what there was to see.
    assert commands.with_word("snakemake", "--keep-going", *options)
    assert not secret.in_text(outcome.text)
    assert not [line for line in commands.seen if secret.in_bytes(line)]
    assert secret.below(workdir.path, Path(workdir.environ["TMPDIR"])) == []


def everything(folder: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_a_login_with_rotation_leaves_no_secret_with_the_local_executor(tried: Workdir, fake_cta: FakeCta) -> None:
    client = fake_cta.issuer.client("confidential")
    file = Path(tried.environ["HOME"]) / "secret"
    file.write_text(client.secret)
    file.chmod(0o600)
    tried.environ |= fake_cta.oidc_environ("confidential")
    for name in ("BEARER_TOKEN", "CTA_CLIENT_SECRET"):
        tried.environ.pop(name, None)
    tried.environ["CTA_CLIENT_SECRET_FILE"] = str(file)
    fake_cta.issuer.configure(token_lifetime=2.0)
    before = log_in(tried)

    run_watched(tried, lambda: Canaries(client.secret, *before, *secrets_in(store(tried))))

    # The search finds them where they have to be.
    assert len(before) >= 2
    assert Canaries(*secrets_in(store(tried))).below(store(tried))
    # They were refreshed under way: nobody has read the first ones all the time.
    assert fake_cta.issuer.grants("refresh_token")
    assert fake_cta.issuer.revoked_families == []
    assert {path.stat().st_mode & 0o777 for path in store(tried).rglob("*.json")} == {0o600}


def test_job_scripts_of_a_cluster_hold_no_secret_of_settings_and_environment(tried: Workdir, fake_cta: FakeCta) -> None:
    client = fake_cta.issuer.client("robot")
    fake_cta.issuer.configure(scope=SCOPE)
    file = Path(tried.environ["HOME"]) / "secret"
    file.write_text(client.secret)
    file.chmod(0o600)
    # Jobs get them, and do not use them: the settings come first.
    unused = "unused-secret-of-the-environment"
    tried.environ |= {"BEARER_TOKEN": fake_cta.make_token(lifetime=-3600.0), "CTA_CLIENT_SECRET": unused}

    run_watched(
        tried,
        lambda: Canaries(client.secret, unused),
        *CLUSTER,
        *("--storage-cta-issuer", fake_cta.issuer.url, "--storage-cta-client-id", client.client_id),
        *("--storage-cta-client-secret-file", str(file), "--storage-cta-grant-type", "client_credentials"),
        *("--storage-cta-scope", SCOPE),
    )
    scripts = everything(tried.path / "jobscripts")

    # The settings came to the jobs, in their scripts.
    assert str(file) in scripts
    assert SCOPE in scripts
    assert len(fake_cta.issuer.grants("client_credentials")) >= 3


def test_representations_pickles_and_errors_of_a_provider_hold_no_secret(
    fake_cta: FakeCta,
    cta_environ: dict[str, str],
    new_provider: Callable[..., StorageProvider],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = fake_cta.issuer.client("robot")
    fake_cta.issuer.configure(scope=SCOPE)
    fake_cta.put("/lst/a.txt", b"a")
    monkeypatch.delenv("BEARER_TOKEN")
    for name, value in fake_cta.oidc_environ("robot").items():
        monkeypatch.setenv(name, value)
    provider = new_provider()
    secret = Canaries(client.secret)

    assert provider.object("cta://lst/a.txt").size() == 1

    config = provider._config(None)
    with pytest.raises(PermissionError) as caught:
        provider.object("cta://forbidden/a.txt").touch()

    assert config.client_secret == client.secret
    assert not secret.in_text(repr(vars(provider)), repr(vars(provider.storage(None))), repr(config))
    assert not secret.in_text(str(caught.value), repr(caught.value), repr(caught.value.__context__))
    assert not secret.in_bytes(pickle.dumps(config))
    assert not secret.in_bytes(pickle.dumps(provider.settings))
