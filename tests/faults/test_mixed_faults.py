"""Many faults in one download, by chance: no wrong byte is taken for right, nor claimed by a sidecar."""

import random
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, CtaError
from ctadata_providers.transfer.parts import sidecar
from tests.faults import acts
from tests.faults.cells import assert_whole
from tests.faults.ranged import left_in, ranged
from tests.faults.scripted import Act, Door, Exchange, get

PATH = "/night/events.fits"
SIZE = 3 << 20
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small file be treated as large ones are."""
    names = ("download", "parts.ramp", "parts.resumable")
    parts = {name.rpartition(".")[2]: import_module(f"ctadata_providers.transfer.{name}") for name in names}
    monkeypatch.setattr(
        import_module("ctadata_providers.transfer.parts.segments").Segments.split, "__defaults__", (48 << 10,)
    )
    monkeypatch.setattr(parts["download"], "RESUMED_FROM", 64 << 10)
    monkeypatch.setattr(parts["resumable"], "TELL_EVERY", 4096)
    for name, value in {"FROM_BYTES": 1, "TICK": 0.002, "MEASURED_SECONDS": 0.004, "WORTH_SECONDS": 0.0}.items():
        monkeypatch.setattr(parts["ramp"], name, value)
    monkeypatch.setattr(parts["ramp"], "FAST", 1e12)


def faulty(chance: random.Random, rate: float, etag: str | None) -> Act:
    """Answer rightly, or not."""
    refusals: list[Act] = [acts.status(503), acts.status(500), get]
    breaks: list[Act] = [
        acts.reset_after(None),
        ranged(etag=etag, stop=lambda sent: sent >= cut()),
        ranged(etag=etag, stop=lambda sent: sent >= cut(), then=Exchange.reset),
        ranged(etag=etag, told=lambda start, end, size: f"bytes {start + 1}-{end - 1}/{size}"),
    ]
    # Where a connection has just broken no other is used again, nor what was set up for it.
    wrong = chance.choice([refusals, refusals + breaks])

    def cut() -> int:
        return chance.randrange(1, SIZE)

    def act(exchange: Exchange) -> None:
        right = ranged(etag=etag, pause=chance.choice([0.001, 0.004]))
        (chance.choice(wrong) if chance.random() < rate else right)(exchange)

    return act


@pytest.mark.parametrize("seed", range(20))
def test_no_mixture_of_faults_leads_to_a_wrong_byte(
    seed: int, open_door: Open, client_of: Client, target: Path
) -> None:
    chance = random.Random(seed)
    payload = chance.randbytes(SIZE)
    door = open_door(tls=chance.random() < 0.7, files={PATH: payload})
    door.fault("GET", faulty(chance, chance.choice([0.1, 0.3, 0.5]), chance.choice([None, '"one"'])))
    wrong: list[str] = []

    def look(_: int) -> None:
        for name in left_in(target.parent):
            if name.endswith(".json.ctapart"):
                told = sidecar.read(target.parent / name)
                there = (target.parent / name.replace(".json.", ".")).read_bytes()
                claimed = [] if told is None else told.written(len(there))
                wrong.extend(f"{start}-{stop}" for start, stop in claimed if there[start:stop] != payload[start:stop])
                wrong.extend(["unreadable"] if told is None else [])

    client = client_of(door, streams=chance.choice([None, 2, 8]), retries=6, checksum="off")
    for _ in range(10):
        try:
            client.download(PATH, target, progress=look)
        except CtaError:
            assert target.read_bytes() == b"old"
        else:
            break

    assert wrong == []
    assert_whole(target, payload)
