"""What was cut off before: found with one listing, taken over by one, removed when it is nobody's."""

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ctadata_providers.errors import QuotaError
from ctadata_providers.transfer.cleaning import clean_local
from ctadata_providers.transfer.parts import leftovers, owners, sidecar
from ctadata_providers.transfer.parts.leftovers import QUIET_SECONDS, Leftovers, adopt, sweep
from ctadata_providers.transfer.parts.owners import PartName, new_name
from ctadata_providers.transfer.parts.resumable import ResumablePart
from ctadata_providers.transfer.parts.sidecar import ROW_BYTES, Origin, Sidecar, Told
from ctadata_providers.transfer.parts.writing import Target

STEM = ".events.fits.12345678"
ORIGIN = Origin("https://door/events.fits", 1000, etag='"one"', modified="today", checksums={"adler32": "00000001"})


def leave(folder: Path, length: int, told: Told | None = None, name: PartName | None = None) -> PartName:
    """Leave what a dead process of this machine would."""
    name = name or new_name(STEM)
    (folder / name.part).write_bytes(b"x" * length)
    if told is not None:
        Sidecar(folder / name.sidecar, told).close()
    return name


def elsewhere() -> PartName:
    """Return a name that another machine has made."""
    return PartName(STEM, "f" * 8 + new_name(STEM).digits[8:])


def names_in(folder: Path) -> set[str]:
    return {place.name for place in folder.iterdir()}


def test_the_part_with_most_bytes_is_taken_over_and_the_others_go(tmp_path: Path) -> None:
    names = [leave(tmp_path, length, Told(ORIGIN)) for length in (10, 500, 70)]

    adopted = adopt(tmp_path, names, ORIGIN)

    assert adopted is not None
    assert adopted.ranges == ((0, 500),)
    assert names_in(tmp_path) == {adopted.name.part, adopted.name.sidecar}
    assert adopted.name.standing == "in use"
    assert adopted.name not in names
    adopted.name.give_up()
    os.close(adopted.fd)


@pytest.mark.parametrize(
    "now",
    [
        replace(ORIGIN, size=1001),
        replace(ORIGIN, etag='"two"'),
        replace(ORIGIN, address="https://door/other"),
        replace(ORIGIN, etag=None, checksums={"adler32": "00000002"}),
        replace(ORIGIN, etag=None, checksums={}, modified="yesterday"),
        replace(ORIGIN, etag=None, checksums={}, modified=None),
        replace(ORIGIN, etag=None, checksums={"md5": "1"}, modified="yesterday"),
    ],
)
def test_a_part_of_another_version_is_removed(now: Origin, tmp_path: Path) -> None:
    name = leave(tmp_path, 500, Told(ORIGIN))

    assert adopt(tmp_path, [name], now) is None
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize(
    "now",
    [
        ORIGIN,
        replace(ORIGIN, modified="yesterday"),
        replace(ORIGIN, etag=None, modified="yesterday"),
        replace(ORIGIN, etag=None, checksums={}),
    ],
)
def test_tag_checksum_or_time_tell_that_it_is_the_same(now: Origin) -> None:
    assert ORIGIN.is_of(now)


def test_what_is_in_use_is_left_alone(tmp_path: Path) -> None:
    name = leave(tmp_path, 500, Told(ORIGIN))
    name.claim()

    sweep(tmp_path, [name])
    adopted = adopt(tmp_path, [name], ORIGIN)
    name.give_up()

    assert adopted is None
    assert names_in(tmp_path) == {name.part, name.sidecar}


@pytest.mark.parametrize("age", [0.0, QUIET_SECONDS - 60, QUIET_SECONDS + 60])
def test_of_another_machine_only_what_has_been_quiet_for_long_is_taken_over(age: float, tmp_path: Path) -> None:
    name = leave(tmp_path, 500, Told(ORIGIN), elsewhere())
    then = time.time() - age
    for place in tmp_path.iterdir():
        os.utime(place, (then, then))

    adopted = adopt(tmp_path, [name], ORIGIN)

    assert (adopted is not None) == (age > QUIET_SECONDS)
    if adopted is None:
        assert names_in(tmp_path) == {name.part, name.sidecar}
    else:
        adopted.name.give_up()
        os.close(adopted.fd)


@pytest.mark.parametrize("synced", [False, True])
def test_bytes_that_a_dead_machine_may_have_lost_count_only_when_they_are_safe(synced: bool, tmp_path: Path) -> None:
    origin = replace(ORIGIN, checksums={})
    name = leave(tmp_path, 500, Told(origin, synced=synced), elsewhere())
    for place in tmp_path.iterdir():
        os.utime(place, (0, 0))

    adopted = adopt(tmp_path, [name], origin)

    assert (adopted is not None) == synced
    if adopted is not None:
        adopted.name.give_up()
        os.close(adopted.fd)
    else:
        assert names_in(tmp_path) == set()


def test_rows_tell_what_is_there_and_never_more_than_the_part_is_long(tmp_path: Path) -> None:
    told = Told(ORIGIN, rows=((0, 100), (300, 400), (350, 500), (900, 1000), (700, 700)))
    name = leave(tmp_path, 950, told)

    read = sidecar.read(tmp_path / name.sidecar)

    assert read is not None
    assert read.written(950) == [(0, 100), (300, 500), (900, 950)]
    assert read.written(0) == []


def test_a_row_is_told_in_its_place(tmp_path: Path) -> None:
    place = tmp_path / "sidecar"
    car = Sidecar(place, Told(ORIGIN, rows=((0, 10), (500, 500))))
    car.tell_row(1, 500, 600)
    car.tell_row(2, 700, 800)
    car.close()
    read = sidecar.read(place)

    assert read is not None
    assert read.rows == ((0, 10), (500, 600), (700, 800))
    assert read.origin == ORIGIN
    assert place.stat().st_size % ROW_BYTES == 0
    head = json.loads(place.read_bytes().partition(b"\n")[0])
    assert (head["pid"], head["origin"]["size"]) == (os.getpid(), 1000)
    assert {"host", "start"} <= head.keys()


def test_a_sidecar_that_was_cut_off_at_any_byte_never_claims_a_gap(tmp_path: Path) -> None:
    place = tmp_path / "sidecar"
    there = {*range(100), *range(500, 600)}
    Sidecar(place, Told(ORIGIN, rows=((0, 100), (500, 600)))).close()
    whole = place.read_bytes()
    claimed: set[int] = set()
    for length in range(len(whole) + 1):
        place.write_bytes(whole[:length])
        read = sidecar.read(place)
        for start, stop in read.written(1000) if read else []:
            claimed |= set(range(start, stop))

        assert claimed <= there, length

    assert claimed == there


def test_a_row_that_was_not_told_yet_costs_no_other(tmp_path: Path) -> None:
    place = tmp_path / "sidecar"
    written = Sidecar(place, Told(ORIGIN, rows=((0, 10),)))
    written.tell_row(3, 700, 800)
    written.close()
    read = sidecar.read(place)

    assert read is not None
    assert read.written(1000) == [(0, 10), (700, 800)]


def test_a_sidecar_without_its_part_is_removed(tmp_path: Path) -> None:
    name = leave(tmp_path, 1, Told(ORIGIN))
    (tmp_path / name.part).unlink()
    found = Leftovers().beside(str(tmp_path), STEM)

    adopt(tmp_path, found, ORIGIN)

    assert list(found) == [name]
    assert names_in(tmp_path) == set()


def test_a_folder_is_listed_once_for_many_files_and_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    listed: list[str] = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: (listed.append(folder), real(folder))[1])
    known = Leftovers(clock=lambda: now)
    for number in range(500):
        known.beside(str(tmp_path), f".{number}.12345678")
    name = leave(tmp_path, 1)
    stale = known.beside(str(tmp_path), STEM)
    now += leftovers.REMEMBERED_SECONDS + 1

    assert (list(stale), list(known.beside(str(tmp_path), STEM))) == ([], [name])
    assert len(listed) == 2


def test_only_so_many_folders_are_remembered(tmp_path: Path) -> None:
    known = Leftovers()
    for number in range(leftovers.REMEMBERED_FOLDERS * 3):
        known.beside(str(tmp_path / str(number)), STEM)

    assert len(known._folders) == leftovers.REMEMBERED_FOLDERS


RACER = """
import sys
from pathlib import Path
from ctadata_providers.transfer.parts.leftovers import Leftovers, adopt
from ctadata_providers.transfer.parts.sidecar import Origin
folder, stem, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
origin = Origin(*eval(sys.argv[4]))
for number in range(rounds):
    place = folder / str(number)
    found = Leftovers().beside(str(place), stem)
    print("ready", flush=True)
    sys.stdin.readline()
    adopted = adopt(place, found, origin)
    print("lost" if adopted is None else adopted.name.digits, flush=True)
    sys.stdin.readline()
"""


def test_of_two_processes_that_want_one_leftover_exactly_one_gets_it(tmp_path: Path) -> None:
    rounds = 40
    code = f"from ctadata_providers.transfer.parts.owners import new_name; print(new_name({STEM!r}).digits)"
    digits = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    for number in range(rounds):
        (tmp_path / str(number)).mkdir()
        leave(tmp_path / str(number), 500, Told(ORIGIN), PartName(STEM, digits))
    told = repr((ORIGIN.address, ORIGIN.size, ORIGIN.etag, ORIGIN.modified, dict(ORIGIN.checksums)))
    argv = [sys.executable, "-c", RACER, str(tmp_path), STEM, str(rounds), told]
    racers = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    def say() -> None:
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("\n")
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.flush()

    def heard() -> list[str]:
        return [racer.stdout.readline().strip() for racer in racers if racer.stdout is not None]

    for number in range(rounds):
        assert heard() == ["ready", "ready"]
        say()
        outcomes = heard()
        winner = next(outcome for outcome in outcomes if outcome != "lost")

        assert outcomes.count("lost") == 1
        assert names_in(tmp_path / str(number)) == {PartName(STEM, winner).part, PartName(STEM, winner).sidecar}
        assert len((tmp_path / str(number) / PartName(STEM, winner).part).read_bytes()) == 500
        say()
    for racer in racers:
        racer.communicate()
    assert owners.parsed(PartName(STEM, winner).part) is not None


@pytest.mark.parametrize("in_use", [False, True])
def test_clean_takes_a_sidecar_along_and_leaves_what_is_in_use(in_use: bool, tmp_path: Path) -> None:
    name = leave(tmp_path, 500, Told(ORIGIN))
    orphan = leave(tmp_path, 1, Told(ORIGIN))
    (tmp_path / orphan.part).unlink()
    if in_use:
        name.claim()
    for place in tmp_path.iterdir():
        os.utime(place, (0, 0))
    size = sum(place.stat().st_size for place in (tmp_path / name.part, tmp_path / name.sidecar))

    result = clean_local(tmp_path, older_than=60)
    name.give_up()

    fates = {part.path: (part.fate, part.size) for part in result.parts}
    assert fates[str(tmp_path / name.part)] == ("under way" if in_use else "removed", size)
    assert len(fates) == 2
    assert result.failures == ()
    assert names_in(tmp_path) == ({name.part, name.sidecar} if in_use else set())


def test_a_part_whose_new_sidecar_finds_no_room_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adopted = adopt(tmp_path, [leave(tmp_path, 500, Told(ORIGIN))], ORIGIN)
    assert adopted is not None

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    target = Target(tmp_path / "events.fits", overwrite=True)
    there = [(start, stop, 1) for start, stop in adopted.ranges]
    with pytest.raises(QuotaError):
        ResumablePart(target, STEM, ORIGIN, algorithm=None, progress=None, adopted=adopted, there=there)

    assert names_in(tmp_path) == set()
    assert adopted.name.standing == "given up"
    deadline = time.monotonic() + 10
    while Path(f"/proc/self/fd/{adopted.fd}").exists() and time.monotonic() < deadline:
        time.sleep(0.005)  # a thread closes it, for that may take a while
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(adopted.fd)


@pytest.mark.parametrize("kind", ["hard", "symbolic"])
def test_a_sidecar_is_written_into_no_file_that_was_there(kind: str, tmp_path: Path) -> None:
    mine, place = tmp_path / "mine", tmp_path / "s"
    mine.write_bytes(b"mine")
    place.hardlink_to(mine) if kind == "hard" else place.symlink_to(mine)
    Sidecar(place, Told(ORIGIN)).close()

    assert mine.read_bytes() == b"mine"
    assert sidecar.read(place) == Told(ORIGIN)


def test_what_another_target_has_left_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / f".a.b.12345678.{'0' * 32}.json.ctapart").touch()

    assert leftovers.was_kept(tmp_path / "a.b")
    assert not leftovers.was_kept(tmp_path / "a")
