"""The tests, to be imported with `*` into a test module of a storage."""

from types import ModuleType

from tests.conformance.suite import faults, files, folders, listings, names, threads, trees

_MODULES: tuple[ModuleType, ...] = (names, files, folders, listings, faults, trees, threads)

__all__: list[str] = []
for _module in _MODULES:
    for _name, _value in vars(_module).items():
        if _name.startswith("test_"):
            globals()[_name] = _value
            __all__ += [_name]
