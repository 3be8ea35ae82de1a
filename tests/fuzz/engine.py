"""Properties: each is an ordinary test with a few examples, and can be run for as long as wanted."""

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")
E = TypeVar("E", bound=Exception)
EXAMPLES = 60
BATCH = 500
_KEPT: list["Property"] = []


@dataclass(frozen=True)
class Property:
    """What must hold for every value of some strategies.

    Attributes:
        name: Its name.
        module: Where it stands.
        check: Raises when it does not hold.
        strategies: The values, by the names of the arguments.
    """

    name: str
    module: str
    check: Callable[..., None]
    strategies: dict[str, SearchStrategy[Any]]


@dataclass(frozen=True)
class Run:
    """How long a property was tried.

    Attributes:
        examples: How many values it held for.
        seconds: How long that took.
        failure: The trace and, as a line for a unit test, the smallest values found for which it does not hold; None
            when it held.
    """

    examples: int
    seconds: float
    failure: str | None


def holds(**strategies: SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare a property; what is returned is a test, the same at every run, of a few examples."""

    def declare(check: Callable[..., None]) -> Callable[..., None]:
        _KEPT.append(Property(check.__name__, check.__module__.rpartition(".")[2], check, strategies))
        few = settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
        return few(given(**strategies)(check))

    return declare


def either(act: Callable[[], T], kind: type[E]) -> T | E:
    """Return what an act gives, or the error of a kind that it raises."""
    try:
        return act()
    except kind as error:
        return error


def properties() -> list[Property]:
    """Return all properties that are declared so far."""
    return list(_KEPT)


def run(tried: Property, seconds: float) -> Run:
    """Try a property with ever new values until the time is over or some are found for which it does not hold."""
    examples = 0
    failing: dict[str, Any] = {}

    def counted(**values: Any) -> None:
        nonlocal examples
        try:
            tried.check(**values)
        except Exception:
            failing.clear()
            failing.update(values)  # the last are the smallest
            raise
        examples += 1

    many = settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.target, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    batch = many(given(**tried.strategies)(counted))
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        try:
            batch()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the finding
            told = "".join(traceback.format_exception(error))
            return Run(examples, time.monotonic() - begun, f"{told}\n{as_example(failing)}")
    return Run(examples, time.monotonic() - begun, None)


def as_example(values: Mapping[str, Any]) -> str:
    """Return values in a form to paste above a unit test."""
    return f"@example({', '.join(f'{name}={value!r}' for name, value in values.items())})"
