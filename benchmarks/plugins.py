"""Whole workflows with remote files: ours, the storage plugins of others, and local files."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.programs import CannotRun
from benchmarks.runner import Entry, Goal, Results, Scenario
from benchmarks.workflows import LOCAL, OURS, Plugin, Site, Workflow, open_line, peers

ROUND_TRIP = 0.02
_KILLED_SIZE = 1_500_000_000
_DRY = ("--dry-run",)
_NOTE = "Files of 10 kB on nginx without TLS; every process begins with nothing that is known or connected."
_HEAD = "URL = config.get('url', '')\n"


def scenarios(names: Sequence[str] = (), *, own: bool = False) -> Iterator[Scenario]:
    """Give the scenarios of some names, of all without one, with or without the others; each runs while in hand."""
    for name, make in SHAPES.items():
        if not names or name in names:
            for scenario in make():
                kept = [entry for entry in scenario.entries if not own or entry.name in (LOCAL.name, OURS.name)]
                yield replace(scenario, entries=kept)


def _one_rule(count: int, *, delay: float, dry: bool, wanted: float, most: int | None) -> Iterator[Scenario]:
    names = [f"in/{number}.txt" for number in range(count)]

    def snakefile(wrap: Callable[[str], str]) -> str:
        inputs = wrap(f"[f'in/{{n}}.txt' for n in range({count})]")
        return f'{_HEAD}rule all:\n    input: {inputs}\n    output: "done"\n    shell: "touch {{output}}"\n'

    with open_line(delay=delay) as site:
        site.put(names)
        yield _scenario(
            "dry-run" if dry else "run",
            site,
            f"one rule, {count:,} inputs, {2000 * delay:.0f} ms, {'dry run' if dry else 'run'}",
            snakefile,
            options=_DRY if dry else (),
            wanted=wanted,
            most=most,
            others=peers(),
        )


def _many_rules(count: int) -> Iterator[Scenario]:
    def snakefile(wrap: Callable[[str], str]) -> str:
        one = wrap("['in/{n}.txt']").replace("f'", "'").replace("{p}", "' + p + '")
        return (
            f"{_HEAD}rule all:\n    input: [f'done/{{n}}' for n in range({count})]\n\n"
            f"rule one:\n    input: {one}\n    output: 'done/{{n}}'\n    shell: 'touch {{output}}'\n"
        )

    with open_line(delay=0) as site:
        site.put([f"in/{number}.txt" for number in range(count)])
        title = f"{count:,} rules of one input, 0 ms, run"
        yield _scenario("rules", site, title, snakefile, wanted=1.3, most=count + 10)


def _in_and_out(count: int) -> Iterator[Scenario]:
    def snakefile(wrap: Callable[[str], str]) -> str:
        ins, outs = (
            wrap(f"['{kind}/{{n}}.txt']").replace("f'", "'").replace("{p}", "' + p + '") for kind in ("in", "out")
        )
        wanted = wrap(f"[f'out/{{n}}.txt' for n in range({count})]")
        return (
            f"{_HEAD}rule all:\n    input: {wanted}\n\n"
            f"rule one:\n    input: {ins}\n    output: {outs}\n    shell: 'cp {{input}} {{output}}'\n"
        )

    outputs = tuple(f"out/{number}.txt" for number in range(count))
    with open_line(delay=ROUND_TRIP / 2) as site:
        site.put([f"in/{number}.txt" for number in range(count)])
        title = f"{count} rules in and out, 20 ms, run"
        others = peers()[:1]  # the other one only reads
        note = (
            "Snakemake stores one output after the other, and goes on when its time is known: PUT, PROPFIND and rename"
            f" are {3000 * ROUND_TRIP:.0f} ms for each, {3 * count * ROUND_TRIP:.0f} s for all;"
            f" the inputs, two at a time, {count / 2 * ROUND_TRIP:.0f} s more."
        )
        yield _scenario(
            "in-and-out", site, title, snakefile, note=note, outputs=outputs, wanted=2.5, most=460, others=others
        )


def _folders(count: int) -> Iterator[Scenario]:
    def snakefile(wrap: Callable[[str], str]) -> str:
        inputs = wrap(f"[f'in/{{d}}/{{n}}.txt' for d in range({count}) for n in range(5)]")
        return f'{_HEAD}rule all:\n    input: {inputs}\n    output: "done"\n    shell: "touch {{output}}"\n'

    with open_line(delay=ROUND_TRIP / 2) as site:
        site.put([f"in/{folder}/{number}.txt" for folder in range(count) for number in range(5)])
        title = f"{count} folders of 5 files, 20 ms, dry run"
        yield _scenario("folders", site, title, snakefile, options=_DRY, wanted=2.5, most=count, others=peers())


def _scenario(
    key: str,
    site: Site,
    title: str,
    snakefile: Callable[[Callable[[str], str]], str],
    *,
    wanted: float,
    most: int | None,
    note: str = "",
    options: tuple[str, ...] = (),
    outputs: tuple[str, ...] = (),
    others: Sequence[Plugin] = (),
) -> Scenario:
    entries = []
    for plugin in (LOCAL, OURS, *others):
        flow = Workflow(site=site, plugin=plugin, snakefile=snakefile, options=options, outputs=outputs)
        entries.append(
            Entry(name=plugin.name, run=flow.run, prepare=flow.prepare, check=flow.check, requests=site.requests)
        )
    goals = [Goal(text="ours: time / local files", wanted=wanted, value=_times_local, at_most=True)]
    if most is not None:
        goals.append(Goal(text="ours: requests", wanted=most, value=_requests, at_most=True))
    return Scenario(
        key=f"plugins-{key}",
        title=f"Snakemake, {title}",
        entries=entries,
        peers=[LOCAL.name],
        note=f"{_NOTE} {note}".strip(),
        goals=goals,
        repeats=3,
    )


def _times_local(results: Results) -> float | None:
    own, local = results.get(OURS.name), results.get(LOCAL.name)
    return own.median / local.median if own and local and own.runs and local.runs else None


def _requests(results: Results) -> float | None:
    counts = [run.requests for run in results[OURS.name].runs if run.requests is not None]
    return max(counts, default=None)


def _killed() -> Iterator[Scenario]:
    def snakefile(wrap: Callable[[str], str]) -> str:
        large = "['in/large.bin']"
        return (
            f"{_HEAD}rule all:\n    input: {wrap(large)}\n    output: 'size'\n"
            "    shell: 'stat -L -c %s {input} > {output}'\n"
        )

    with open_line(delay=0) as site:
        site.put(["in/large.bin"])
        site.server.put_sparse("/in/large.bin", _KILLED_SIZE, b"end")
        entries = []
        for plugin in (OURS, *peers()):
            flow = Workflow(site=site, plugin=plugin, snakefile=snakefile, options=("--nolock", "--rerun-incomplete"))
            entries.append(
                Entry(
                    name=plugin.name,
                    prepare=partial(_kill, flow),
                    run=flow.run,
                    check=partial(_right_size, flow),
                    requests=site.requests,
                )
            )
        yield Scenario(
            key="plugins-killed",
            title=f"Snakemake, kill -9 in a retrieve of {_KILLED_SIZE / 1e9:.1f} GB, then a rerun",
            entries=entries,
            note="Told is the rerun; a row without figures is one whose job then ran on a partial input.",
            goals=[Goal(text="ours: the input has its right size", wanted=1, value=_ran)],
            repeats=1,
        )


def _ran(results: Results) -> float | None:
    return float(bool(results[OURS.name].runs))


def _kill(flow: Workflow) -> None:
    """Kill a run as soon as some of its input has arrived."""
    flow.prepare()
    argv = [flow.plugin.python(), "-c", flow.plugin.program, "--cores", "2", *flow.plugin.options(flow.site.url)]
    environ = {**os.environ, "HOME": str(flow.site.folder), "CTA_DOOR_URL": flow.site.url}
    process = subprocess.Popen(
        argv,
        cwd=flow.folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in _copies(flow)) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    print(f"{flow.plugin.name}: {sum(p.stat().st_size for p in _copies(flow)):,} bytes at the kill", file=sys.stderr)


def _copies(flow: Workflow) -> list[Path]:
    return [path for path in (flow.folder / ".snakemake" / "storage").rglob("*large*") if path.is_file()]


def _right_size(flow: Workflow) -> None:
    size = int((flow.folder / "size").read_text())
    if size != _KILLED_SIZE:
        raise CannotRun(f"exit 0 on an input of {size:,} bytes")


SHAPES: dict[str, Callable[[], Iterator[Scenario]]] = {
    "run": partial(_one_rule, 1000, delay=ROUND_TRIP / 2, dry=False, wanted=2.0, most=None),
    "dry-run": partial(_one_rule, 10_000, delay=0, dry=True, wanted=1.3, most=1),
    "rules": partial(_many_rules, 1000),
    "in-and-out": partial(_in_and_out, 100),
    "folders": partial(_folders, 200),
    "killed": _killed,
}
"""The shapes that are measured."""
