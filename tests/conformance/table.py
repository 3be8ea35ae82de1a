"""The table of docs/servers.md: rows are features, columns servers, footnotes the reasons of known limits."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.conformance.features import Feature
from tests.conformance.limits import LIMITS
from tests.conformance.outcomes import Outcome, Storages

PAGE = Path(__file__).parents[2] / "docs" / "servers.md"
BEGIN = "<!-- The table is made by `make servers-table`; a run of the suite that says otherwise fails. -->"
END = "<!-- End of the table. -->"
UNTRIED = "not tried"

Column = dict[str, str]
"""What a column says of each feature, by its title."""

# Which storages a column stands for; XRootD's have the version in their title, so that several can stand side by side.
_COLUMNS = {
    "dCache (imitated)": ("fakecta",),
    "CTA services (imitated)": ("services", "services-dcache"),
    "XRootD": ("xrootd-http", "xrootd-token", "xrootd-x509"),
    "XRootD, redirecting": ("xrootd-redirecting-token", "xrootd-redirecting-stripped"),
    "Apache": ("apache", "apache-tls"),
    "nginx": ("nginx", "nginx-tls"),
    "WsgiDAV": ("wsgidav",),
}
_REASONS = {limit.reason.label: limit.reason.text for limit in LIMITS}


def columns_of(run: Storages, tests: int) -> dict[str, Column]:
    """Return the columns that a run shows in full, each by its title.

    A column is left out when one of its storages was not met, when only a part of the suite ran on it, or when a test
    failed there.

    Args:
        run: What is known of it.
        tests: How many tests the suite has, whatever their parameters.
    """
    shown = {}
    for prefix in ("", "newer-"):
        for title, names in _COLUMNS.items():
            members = [prefix + name for name in names]
            if all(_is_whole(run, member, tests) for member in members):
                outcomes = [outcome for member in members for outcome in run.outcomes[member]]
                shown[_titled(title, run.versions[members[0]])] = _column(outcomes)
    return shown


def read(page: str) -> dict[str, Column]:
    """Return the columns of a page's table."""
    rows = [
        re.split(r" *\| *", line.strip().strip("|").strip()) for line in _block(page).splitlines() if line[:1] == "|"
    ]
    if not rows:
        return {}
    titles = rows[0][1:]
    return {title: {row[0]: row[number] for row in rows[2:]} for number, title in enumerate(titles, 1)}


def write(page: str, columns: Mapping[str, Column]) -> str:
    """Return a page with these columns in its table, and the footnotes that they need."""
    titles = sorted(columns, key=_order)
    rows = [
        ["feature", *titles],
        ["---"] * (len(titles) + 1),
        *([row.value, *(columns[title].get(row.value, UNTRIED) for title in titles)] for row in Feature),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    used = dict.fromkeys(re.findall(r"\[\^([a-z0-9-]+)\]", table))
    notes = "\n".join(f"[^{label}]: {_REASONS[label]}" for label in used)
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{table}\n\n{notes}\n\n{END}{rest.partition(END)[2]}"


def _block(page: str) -> str:
    return page.partition(BEGIN)[2].partition(END)[0]


def _is_whole(run: Storages, storage: str, tests: int) -> bool:
    planned = run.planned.get(storage, set())
    names = {node.rpartition("::")[2].partition("[")[0] for node in planned}
    outcomes = run.outcomes.get(storage, [])
    return len(names) == tests and run.ran.get(storage) == planned and all(outcome.passed for outcome in outcomes)


def _titled(title: str, version: tuple[int, ...]) -> str:
    name, comma, rest = title.partition(",")
    return f"{name} {'.'.join(map(str, version[:2]))}{comma}{rest}" if version else title


def _order(title: str) -> tuple[int, list[int], str]:
    name = re.sub(r" [0-9.]+|,.*", "", title)
    version = [int(number) for number in re.findall(r"\d+", title)]
    return [known.partition(",")[0] for known in _COLUMNS].index(name), version, title


def _column(outcomes: Iterable[Outcome]) -> Column:
    by_feature: dict[Feature, list[Outcome]] = {}
    for outcome in outcomes:
        by_feature.setdefault(outcome.feature, []).append(outcome)
    return {about.value: _cell(found) for about, found in by_feature.items()}


def _cell(outcomes: Iterable[Outcome]) -> str:
    limits = [outcome.limit for outcome in outcomes if outcome.limit is not None]
    if not limits:
        return "yes"
    says = dict.fromkeys(limit.says for limit in limits)
    labels = dict.fromkeys(limit.reason.label for limit in limits)
    return f"{', '.join(says)} {''.join(f'[^{label}]' for label in labels)}"
