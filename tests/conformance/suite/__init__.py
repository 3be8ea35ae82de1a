"""The tests, to be imported with `*` into a test module of a storage."""

from types import ModuleType

from tests.conformance.suite import (
    checksums,
    copies,
    files,
    folders,
    interruptions,
    kinds,
    large,
    listings,
    local_files,
    looking,
    moves,
    names,
    processes,
    question_marks,
    streams,
    syncing,
    threads,
    trees,
)

_MODULES: tuple[ModuleType, ...] = (
    names,
    question_marks,
    files,
    kinds,
    checksums,
    folders,
    listings,
    moves,
    copies,
    large,
    looking,
    interruptions,
    streams,
    processes,
    local_files,
    trees,
    syncing,
    threads,
)

__all__: list[str] = []
for _module in _MODULES:
    for _name, _value in vars(_module).items():
        if _name.startswith("test_"):
            globals()[_name] = _value
            __all__ += [_name]
