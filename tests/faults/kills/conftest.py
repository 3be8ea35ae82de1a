from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.kills.processes import Commands
from tests.faults.kills.stages import Stage, staged


@pytest.fixture(scope="module")
def stages(
    tmp_path_factory: pytest.TempPathFactory, ca: Path
) -> Iterator[Callable[[str], tuple[Stage, Commands, float]]]:
    """Give stages by the name of their kind; each is built once."""
    root = tmp_path_factory.mktemp("kills")
    built: dict[str, tuple[Stage, Commands, float]] = {}
    with ExitStack() as stack:

        def get(name: str) -> tuple[Stage, Commands, float]:
            if name not in built:
                built[name] = stack.enter_context(staged(name, root / name, ca))
            return built[name]

        yield get
