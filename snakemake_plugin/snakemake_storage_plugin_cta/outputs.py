"""What a workflow writes, as its rules say: nothing else is ever removed."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

# The interface ships no py.typed.
from snakemake_interface_storage_plugins.io import WILDCARD_REGEX  # type: ignore[import-untyped]


def covers(pattern: str, query: str) -> bool:
    r"""Tell whether a query is what a pattern, of an output, stands for, or lies below that.

    >>> covers("cta://lst/users/{run}.txt", "cta://lst/users/1.txt")
    True
    >>> covers("cta://lst/users/d", "cta://lst/users/d/x"), covers("cta://lst/users/d", "cta://lst/users/e")
    (True, False)
    >>> covers("cta://lst/{run,\\d+}.txt", "cta://lst/a.txt")
    False
    """
    return _expression(pattern).fullmatch(query.rstrip("/")) is not None


def matches(pattern: str, query: str) -> bool:
    """Tell whether a query is what a pattern stands for.

    >>> matches("cta://lst/{run}/d", "cta://lst/1/d"), matches("cta://lst/{run}/d", "cta://lst/1/d/x")
    (True, False)
    """
    match = _expression(pattern).fullmatch(query.rstrip("/"))
    return match is not None and match["below"] is None


@lru_cache(maxsize=10_000)
def _expression(pattern: str) -> re.Pattern[str]:
    pattern = pattern.rstrip("/")
    parts, names, end = [], set[str](), 0
    for match in WILDCARD_REGEX.finditer(pattern):
        parts.append(re.escape(pattern[end : match.start()]))
        name, end = match["name"], match.end()
        group = f"g{len(name)}_{name.replace('.', '_')}"
        parts.append(f"(?P={group})" if name in names else f"(?P<{group}>{match['constraint'] or '.+'})")
        names.add(name)
    parts.append(re.escape(pattern[end:]))
    return re.compile("".join(parts) + "(?P<below>/.*)?", re.DOTALL)


def workflow_of(objects: Iterable[Any]) -> Any:
    """Return the workflow that some objects belong to, None for objects outside of one.

    Snakemake notes at each object of a rule the file that it stands for. That is its own affair, but there is no public
    way: the interface (4.4) hands a plugin neither workflow nor rules.
    """
    rules = (getattr(getattr(made, "_iofile", None), "rule", None) for made in objects)
    workflows = (getattr(rule, "workflow", None) for rule in rules)
    return next((workflow for workflow in workflows if workflow is not None), None)


def written(workflow: Any) -> set[str]:
    """Return the patterns of all outputs, logs and benchmarks of a workflow."""
    return {query for rule in workflow.rules for query in _queries(_files(rule))}


def flagged(workflow: Any, flag: str) -> set[str]:
    """Return the patterns of the outputs of a workflow that are marked as `protected()`, `directory()` or the like."""
    return {query for rule in workflow.rules for query in _queries(file for file in rule.output if flag in file.flags)}


def of_checkpoints(workflow: Any) -> set[str]:
    """Return the patterns of what the checkpoints of a workflow make, and of which no local copy is to be kept."""
    if workflow.storage_settings.keep_storage_local:
        return set()
    return {
        query
        for rule in workflow.rules
        if rule.is_checkpoint
        for query in _queries(file for file in rule.output if file.is_storage and not file.should_keep_local)
    }


def kept(workflow: Any) -> set[str]:
    """Return the patterns of the files of a workflow of which a local copy is to be kept."""
    files = (file for rule in workflow.rules for file in (*rule.input, *rule.output))
    return set(_queries(file for file in files if getattr(file, "should_keep_local", False)))


def inputs(rules: Iterable[Any]) -> Iterator[Any]:
    """Yield the storage objects among the inputs of rules that need no wildcards."""
    for rule in rules:
        yield from _objects(rule.input)


def _files(rule: Any) -> Iterable[Any]:
    return (*rule.output, *rule.log, *([rule.benchmark] if rule.benchmark else ()))


def _queries(files: Iterable[Any]) -> Iterable[str]:
    return (made.query for made in _objects(files))


def _objects(files: Iterable[Any]) -> Iterator[Any]:
    found = (getattr(file, "flags", {}).get("storage_object") for file in files)
    return (made for made in found if made is not None)
