"""What every cell of the matrix checks."""

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, CtaError
from ctadata_providers.transfer import is_part
from tests.faults.scripted import Door


class Told:
    """What anybody could read afterwards."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def text(self, *errors: BaseException) -> str:
        """Return the log, and the errors as a trace with all their causes, as str, as repr and by their arguments."""
        lines = [f"{r.getMessage()} {r.args!r} {r.exc_text or ''}" for r in self._caplog.records]
        for error in errors:
            lines += traceback.format_exception(error)
            lines += [f"{link!s} {link!r} {link.args!r}" for link in chain(error)]
            lines += [repr(vars(link)) for link in chain(error) if isinstance(link, CtaError)]
        return "\n".join(lines)


def chain(error: BaseException) -> list[BaseException]:
    """Return an error with everything that a trace shows it to be raised from or during."""
    found: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        link = todo.pop()
        if link is not None and link not in found:
            found.append(link)
            todo += [link.__cause__, None if link.__suppress_context__ else link.__context__]
    return found


def assert_nothing_secret(text: str, *secrets: str) -> None:
    for secret in secrets:
        at = text.find(secret)

        assert at < 0, f"{secret!r} stands in: ...{text[max(0, at - 200) : at + 40]}..."


def parts_in(folder: Path) -> list[str]:
    """Return the unfinished files below a local folder."""
    return [str(place) for place in folder.rglob("*") if is_part(place.name)]


def parts_at(door: Door) -> list[str]:
    """Return the unfinished files of a server."""
    return [path for path in door.files if is_part(path.rpartition("/")[2])]


def assert_absent(
    act: Callable[[], object], kind: type[CtaError] | tuple[type[CtaError], ...], path: str, target: Path
) -> CtaError:
    """Check that an act fails with the right error, which names a path, and that the old local file is unharmed."""
    with pytest.raises(CtaError) as caught:
        act()
    error = caught.value

    assert isinstance(error, kind), repr(error)
    assert path in str(error) or str(target) in str(error), str(error)
    assert target.read_bytes() == b"old"
    assert parts_in(target.parent) == []
    return error


def assert_whole(target: Path, payload: bytes) -> None:
    """Check that a download has arrived, and nothing else."""
    assert target.read_bytes() == payload
    assert [place.name for place in target.parent.iterdir()] == [target.name]


def failed_upload(client: CtaClient, source: Path, kind: type[CtaError], path: str = "/night/events.fits") -> CtaError:
    """Check that an upload fails with an error that names the path."""
    with pytest.raises(kind) as caught:
        client.upload(source, path)

    assert path in str(caught.value)
    return caught.value
