"""What a whole workflow asks the server, counted at the door: a contract, whatever Snakemake asks the plugin."""

import time
from collections import Counter
from collections.abc import Callable

import pytest

from ctadata_providers.testing import FakeCta
from tests.snakemake.conftest import Workdir

RULES = """
RUNS = range(1, {count} + 1)

rule all:
    input: expand("out/{{run}}.txt", run=RUNS)

rule one:
    input: storage.cta("cta://lst/DL3/run_{{run}}.txt")
    output: "out/{{run}}.txt"
    shell: "cp {{input}} {{output}}"
"""
IN_AND_OUT = """
rule all:
    input: storage.cta(expand("cta://lst/users/{{run}}.txt", run=range(1, {count} + 1)))

rule one:
    input: storage.cta("cta://lst/DL3/run_{{run}}.txt")
    output: storage.cta("cta://lst/users/{{run}}.txt")
    shell: "cp {{input}} {{output}}"
"""
ONE_RULE = """
rule all:
    input: storage.cta({queries})
    output: "merged.txt"
    shell: "cat {{input}} > {{output}}"
"""


def counted(cta: FakeCta) -> Counter[str]:
    """What was asked at the door, listings told from looks."""
    found = Counter(
        f"{request.method} {request.headers['depth']}" if request.method == "PROPFIND" else request.method
        for request in cta.requests
        if request.server == "door"
    )
    cta.clear_requests()
    return found


@pytest.mark.parametrize(("count", "looks", "listings"), [(3, 3, 0), (12, 0, 1)])
def test_rules_of_one_input_cost_one_get_each_however_often_they_are_scheduled(
    workdir: Workdir, fake_cta: FakeCta, with_runs: Callable[[int], list[str]], count: int, looks: int, listings: int
) -> None:
    with_runs(count)
    workdir.write(RULES.format(count=count))
    workdir.succeed("--cores", "1")
    asked = counted(fake_cta)

    assert asked["GET"] == count
    assert asked["PROPFIND 0"] == looks
    # What is seen may be 10 s old: on a slow machine a run takes longer.
    assert listings <= asked["PROPFIND 1"] <= 2 * listings
    assert asked.keys() <= {"GET", "PROPFIND 0", "PROPFIND 1"}


def test_an_output_costs_a_put_a_rename_and_a_propfind(
    workdir: Workdir, fake_cta: FakeCta, with_runs: Callable[[int], list[str]]
) -> None:
    count = 8
    with_runs(count)
    fake_cta.make_dir("/lst/users")
    workdir.write(IN_AND_OUT.format(count=count))
    workdir.succeed()
    asked = counted(fake_cta)

    assert (asked["GET"], asked["PUT"], asked["MOVE"]) == (count, count, count)
    # One of each output, and one beside each listing of an empty folder, which may be one that may not be listed.
    assert count <= asked["PROPFIND 0"] <= count + asked["PROPFIND 1"]
    # The outputs' folder is listed anew each second, while outputs are missing.
    assert asked["PROPFIND 1"] <= 12
    assert asked.keys() <= {"GET", "PUT", "MOVE", "PROPFIND 0", "PROPFIND 1"}

    assert "Nothing to be done" in workdir.succeed()
    assert counted(fake_cta) == {"PROPFIND 1": 2}


def test_200_inputs_and_missing_ones_cost_one_listing(
    workdir: Workdir, fake_cta: FakeCta, with_runs: Callable[[int], list[str]]
) -> None:
    with_runs(200)
    present = 'expand("cta://lst/DL3/run_{run}.txt", run=range(1, 201))'
    workdir.write(ONE_RULE.format(queries=present))
    workdir.succeed("--dry-run")

    assert counted(fake_cta) == {"PROPFIND 1": 1}

    workdir.write(ONE_RULE.format(queries='expand("cta://lst/DL3/run_{run}.txt", run=range(1, 401))'))
    text = workdir.fail("--dry-run")

    assert "MissingInputException" in text
    assert counted(fake_cta) == {"PROPFIND 1": 1}


def test_20_folders_of_5_files_cost_20_listings(workdir: Workdir, fake_cta: FakeCta) -> None:
    for number in range(100):
        fake_cta.put(f"/lst/{number % 20}/{number}.txt", b"x")
    workdir.write(ONE_RULE.format(queries='[f"cta://lst/{number % 20}/{number}.txt" for number in range(100)]'))
    workdir.succeed("--dry-run")

    assert counted(fake_cta) == {"PROPFIND 1": 20}


def test_a_few_files_of_a_folder_are_looked_at_without_a_listing(workdir: Workdir, fake_cta: FakeCta) -> None:
    for number in range(50):
        fake_cta.put(f"/lst/{number}.txt", b"x")
    workdir.write(ONE_RULE.format(queries='[f"cta://lst/{number}.txt" for number in range(3)]'))
    workdir.succeed("--dry-run")

    assert counted(fake_cta) == {"PROPFIND 0": 3}


def test_large_inputs_and_outputs_cost_no_more_where_the_door_tells_checksums(
    workdir: Workdir, fake_cta: FakeCta
) -> None:
    fake_cta.put("/lst/large", bytes(3_000_000))
    workdir.write("""
rule all:
    input: storage.cta("cta://lst/large")
    output: storage.cta("cta://lst/copy")
    shell: "cp {input} {output}"
""")
    workdir.succeed()
    asked = counted(fake_cta)

    assert (asked["GET"], asked["PUT"], asked["MOVE"], asked["HEAD"]) == (1, 1, 1, 0)


def test_max_requests_per_second_counts_real_requests(
    workdir: Workdir, fake_cta: FakeCta, with_runs: Callable[[int], list[str]]
) -> None:
    with_runs(10)
    workdir.write(ONE_RULE.format(queries='expand("cta://lst/DL3/run_{run}.txt", run=range(1, 11))'))
    begun = time.monotonic()
    workdir.succeed("--storage-cta-max-requests-per-second", "5")
    seconds = time.monotonic() - begun

    # 10 GET and a PROPFIND, one each 0.2 s; Snakemake itself asks some 60 times.
    assert counted(fake_cta) == {"PROPFIND 1": 1, "GET": 10}
    assert seconds >= 2


def test_a_folder_output_costs_a_put_a_look_and_a_rename_for_each_file(workdir: Workdir, fake_cta: FakeCta) -> None:
    fake_cta.make_dir("/lst/users")
    workdir.write("""
rule all:
    output: storage.cta(directory("cta://lst/users/folder"))
    shell: "mkdir {output}; for n in $(seq 20); do echo $n > {output}/$n; done"
""")
    workdir.succeed()
    asked = counted(fake_cta)

    # One rename more gives the folder its name.
    assert (asked["PUT"], asked["MOVE"], asked["DELETE"], asked["MKCOL"]) == (20, 21, 0, 1)
    # Those of the folder, and what Snakemake asks before.
    assert asked["PROPFIND 0"] <= 20 + 10
    assert asked["PROPFIND 1"] == 0
