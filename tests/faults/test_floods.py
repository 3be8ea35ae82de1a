"""Answers without end: each is ended, with one clear error, and memory stays bounded."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import children
from tests.faults.floods import BODIES, ENOUGH, FOLDER, HEADERS, LISTINGS, Pieces, listing, poured
from tests.faults.scripted import Door, Exchange

SECONDS = 20.0
MEGABYTES = 100
FLOODS: dict[str, Pieces] = {**HEADERS, **BODIES, **LISTINGS}
ASKED = [
    *((act, what) for act in ("get", "put", "stat", "list") for what in (*HEADERS, *BODIES)),
    *((act, what) for act in ("stat", "list") for what in LISTINGS),
]
ENDLESS_BUT_RIGHT = listing(FOLDER.encode(), lambda number: FOLDER.replace("/f/", f"/f/{number}").encode())

PROGRAM = """
import resource, time
from ctadata_providers import CtaError, FileInfo

def ask(act, path):
    if act == "get":
        client.download(path, sys.argv[1], info=FileInfo(path, is_dir=False))
    elif act == "put":
        client.upload(sys.argv[2], path)
    elif act == "stat":
        client.stat(path)
    elif act == "list":
        for _ in client.list_dir(path): pass
    else:
        entries = client.list_dir(path)
        for _ in range(200_000): next(entries)

client.exists("/known")
for act, path in json.loads(sys.argv[3]):
    before, begun, error = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), None
    try:
        ask(act, path)
    except CtaError as caught:
        error = caught
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    print(json.dumps([type(error).__name__, str(error), time.monotonic() - begun, grown]))
"""


@dataclass(frozen=True)
class Outcome:
    """How a flood ended for the client."""

    kind: str
    message: str
    seconds: float
    grown: int
    taken: int


def drowned(asked: list[tuple[str, str, Pieces]], folder: Path) -> list[Outcome]:
    """Let one program meet floods, one after the other."""
    small = folder / "small"
    small.write_bytes(b"x")
    taken: list[list[int]] = [[] for _ in asked]

    def flood(exchange: Exchange) -> None:
        number = int(exchange.asked.path.split("/")[1])
        poured(asked[number][2], taken[number])(exchange)

    with Door(tls=False) as door:
        for number, (act, _, _) in enumerate(asked):
            if act == "get":
                door.fault("GET", flood, path=f"/{number}/f")
            elif act == "put":
                door.folders.add(f"/{number}")
            else:
                door.fault("PROPFIND", flood, path=f"/{number}/f")
                door.fault("PROPFIND", flood, path=f"/{number}/f/")
        door.fault("PUT", flood)
        settings = {"door_url": door.url, "retries": 0, "timeout": 0.2}
        orders = json.dumps([(act, f"/{number}/f") for number, (act, _, _) in enumerate(asked)])
        child = children.start(PROGRAM, settings, folder / "got", small, orders, XDG_STATE_HOME=str(folder))
        written, said = children.finish(child, 90)

    assert said.replace("\n", "") == "" or "Traceback" not in said, said
    told = [json.loads(line) for line in written.splitlines()]
    return [Outcome(*one, sum(mine)) for one, mine in zip(told, taken, strict=True)]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Outcome]:
    """All floods, met by one program: another for each would take a minute."""
    met = drowned([(act, what, FLOODS[what]) for act, what in ASKED], tmp_path_factory.mktemp("floods"))
    return dict(zip(ASKED, met, strict=True))


@pytest.mark.parametrize(("act", "what"), ASKED, ids=[f"{act}-{what}" for act, what in ASKED])
def test_a_flood_is_ended_with_one_clear_error(act: str, what: str, outcomes: dict[tuple[str, str], Outcome]) -> None:
    met = outcomes[act, what]

    assert met.kind.endswith("Error")
    assert f"/{ASKED.index((act, what))}" in met.message
    assert met.seconds < SECONDS
    assert met.grown < MEGABYTES
    assert met.taken < ENOUGH


def test_the_floods_together_leave_nothing_behind(outcomes: dict[tuple[str, str], Outcome]) -> None:
    assert sum(met.grown for met in outcomes.values()) < MEGABYTES


def test_a_listing_without_end_is_used_with_flat_memory(tmp_path: Path) -> None:
    for act in ("some", "stat"):
        (met,) = drowned([(act, "", ENDLESS_BUT_RIGHT)], tmp_path)

        assert met.kind == "NoneType", met.message
        assert met.grown < MEGABYTES
