"""A copy that is killed in its middle, on each way: the next one leaves the target whole and nothing beside it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctadata_providers import Config, CtaClient
from ctadata_providers.testing import FakeCta

CHILD = """
import os
from ctadata_providers import Config, CtaClient
def client(door, token):
    how = {"door_url": os.environ[door], "token": os.environ[token], "ca_path": os.environ["CA"]}
    return CtaClient(Config(copy_hosts=os.environ["HOSTS"], **how))
client("HERE", "HERE_TOKEN").copy("lst/a", "copy", to=client("THERE", "THERE_TOKEN"))
"""
DATA = os.urandom(8_000_000)


@pytest.fixture
def centres() -> Iterator[tuple[FakeCta, FakeCta]]:
    """Two data centres, the first with a file."""
    with FakeCta(markers=0.05) as here, FakeCta(markers=0.05) as there:
        here.put("/lst/a", DATA)
        yield here, there


@pytest.mark.parametrize("hosts", ["localhost", ""])
def test_a_killed_copy_is_made_whole_by_the_next_and_nothing_stays(
    centres: tuple[FakeCta, FakeCta], hosts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = centres
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    environ = {
        **os.environ,
        "HERE": here.door_url,
        "THERE": there.door_url,
        "CA": str(here.ca_file),
        "HOSTS": hosts,
        "HERE_TOKEN": here.token,
        "THERE_TOKEN": there.token,
    }

    def begun() -> bool:
        parts = [place for place in temporary.glob("*/*") if place.stat().st_size > 1_000_000]
        return bool(parts) if not hosts else any(r.method == "GET" for r in here.requests)

    with (
        here.fault("slow", server="pool", method="GET", rate=4_000_000),
        subprocess.Popen([sys.executable, "-c", CHILD], env=environ) as child,
    ):
        _until(begun)
        child.kill()
    left = list(temporary.iterdir())
    here.clear_requests()
    settings = {"copy_hosts": hosts, "retries": 0}
    with (
        CtaClient(Config(**here.settings(), **settings)) as source,  # type: ignore[arg-type]  # settings by name
        CtaClient(Config(**there.settings(), **settings)) as target,  # type: ignore[arg-type]  # as above
    ):
        result = source.copy("lst/a", "copy", to=target)

    assert result.way == ("pull" if hosts else "client")
    assert bool(left) is not bool(hosts)
    assert there.get("/copy") == DATA
    assert there.paths() == ["/copy"]
    assert list(temporary.iterdir()) == []
    if not hosts:  # what was there is not fetched again
        assert [r for r in here.requests if r.server == "pool" and "range" in r.headers]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
