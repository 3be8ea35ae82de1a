"""Trees copied from one remote place to another: listed and copied at once."""

from collections.abc import Iterator
from contextlib import closing
from itertools import chain

from ctadata_providers.backends import FileInfo
from ctadata_providers.errors import CtaError, NotADirError, NotFoundError, StorageError
from ctadata_providers.patterns import EVERYTHING, Selection
from ctadata_providers.transfer.context import OnError, Progress, TreeResult
from ctadata_providers.transfer.copying import Route, copy
from ctadata_providers.transfer.failures import Failures
from ctadata_providers.transfer.parallel import Job
from ctadata_providers.transfer.trees.transfers import Jobs, Step, made, made_with_parents, run_jobs
from ctadata_providers.transfer.trees.walking import walk
from ctadata_providers.uri import split


def copy_tree(
    route: Route,
    path: str,
    target: str,
    *,
    overwrite: bool = True,
    progress: Progress | None = None,
    selection: Selection = EVERYTHING,
    on_error: OnError = "stop",
) -> TreeResult:
    """Copy what a selection takes below a folder into another one, which is made.

    Args:
        route: From where to where.
        path: The folder.
        target: The folder that it is copied into.
        overwrite: Whether files there may be replaced.
        progress: Told of the bytes that have been transferred.
        selection: What is taken.
        on_error: `stop` raises the first error; `continue` tells all in the result.

    Raises:
        NotFoundError: When there is no such folder.
        NotADirError: When either is a file.
        StorageError: When the target is the folder itself or inside it.
        CtaError: With `stop` the first error, by the order of the tree among those that there were when it stopped;
            else only what no other file would survive. What is whole stays.
    """
    top, below = target.rstrip("/"), path.rstrip("/") + "/"
    places = route.places(below, f"{top}/")
    if places is not None and places[1].startswith(places[0]):
        raise StorageError(
            f"cannot copy {path} to {target}: that is itself or inside it", path=path, remedy="name another target"
        )
    failures = Failures(on_error)

    def unlisted(folder: str, error: CtaError) -> None:
        if folder == path and isinstance(error, NotFoundError | NotADirError):
            raise error
        failures.take(folder, error)

    def steps(entries: Iterator[FileInfo]) -> Jobs:
        backend = route.target.backend
        yield Job(Step(target), made_with_parents(backend, target), urgent=True)
        for number, info in enumerate(entries, start=1):
            step = Step(f"{top}/{info.path.removeprefix(below)}", number)
            after = Step(split(step.path)[0])
            if info.is_dir:
                yield Job(step, made(backend, step.path), after=after, urgent=True)
            else:
                task = copy(route, info, step.path, overwrite=overwrite, progress=progress)
                yield Job(step, task, after=after)

    def jobs() -> Jobs:
        with closing(walk(route.source.backend, path, selection=selection, on_error=unlisted)) as entries:
            first = next(entries, None)  # a missing folder must not leave an empty one there
            yield from steps(chain([first] if first else [], entries))

    return run_jobs(jobs(), route.target.max_parallel, failures)
