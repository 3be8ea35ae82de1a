"""What goes where: sources that were looked for, each with its target."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_cta.operators.base import OnMissing, Result, as_list, inside, skip_if
from ctadata_providers import ConfigError, CtaClient, FileInfo, IsADirError, NotFoundError, uri
from ctadata_providers.patterns import has_magic, literal

Found = Mapping[str, Sequence[FileInfo]]
"""What is there of paths and patterns."""


def look_for(client: CtaClient, paths: Sequence[str], on_missing: OnMissing) -> Found:
    """Return what is there of paths and patterns; of what a pattern matches, the files.

    Raises:
        NotFoundError: When one is missing, with `on_missing="fail"`.
        AirflowSkipException: When nothing is there, with `on_missing="skip"`.
    """
    found = {path: _wanted(path, infos) for path, infos in client.glob_many(paths).items()}
    missing = [path for path, infos in found.items() if not infos]
    if missing and on_missing == "fail":
        raise NotFoundError(
            f"{len(missing)} of {len(paths)} are not there, such as {missing[0]}",
            path=missing[0],
            remedy="check the path (a pattern takes files only), or let it be skipped (on_missing)",
        )
    skip_if(not any(found.values()), on_missing, "nothing of that is there")
    return found


def paired(
    paths: Sequence[str], found: Found, targets: Any, name: str, place: Callable[[str], object] = str
) -> list[tuple[FileInfo, str]]:
    """Return each file that was found with its target.

    Args:
        paths: The paths and patterns, in their order.
        found: What is there of them.
        targets: One target (a folder, ending in `/`, for several files), or a list of as many as there are paths.
        name: What the targets are called, for errors.
        place: Gives what is the same for all spellings of a target.

    Raises:
        ConfigError: When the targets do not fit, or two files would have the same.
        IsADirError: When there is a folder among several.
    """
    _refuse_folders(paths, found)
    patterns = [path for path in paths if not _is_named(path, found[path])]
    if isinstance(targets, Sequence) and not isinstance(targets, str):
        several = as_list(targets, name)
        if len(several) != len(paths) or patterns:
            raise ConfigError(f"{len(paths)} sources and {len(several)} targets", remedy="give one for each")
        pairs = [
            (found[path][0], inside(target, path)) for path, target in zip(paths, several, strict=True) if found[path]
        ]
    else:
        (target,) = as_list(targets, name)
        if not target.endswith("/") and (len(paths) > 1 or patterns):
            raise ConfigError(f"{target} cannot take several files", remedy="end it with '/': a folder")
        infos = {info.path: info for path in paths for info in found[path]}
        pairs = [(info, inside(target, info.path)) for info in infos.values()]
    taken: dict[object, str] = {}
    for info, target in pairs:
        if place(target) in taken:
            both = f"{taken[place(target)]} and {info.path}"
            raise ConfigError(f"{both} would both be {target}", remedy="give other targets")
        taken[place(target)] = info.path
    return pairs


def as_asked(asked: Any, results: Sequence[Result], source: str = "uri") -> Result | list[Result]:
    """Return the result of a task: of one path that names a file what was done with it, else the list.

    What looks like a pattern and is a name gives what every name gives, so that a task can be mapped over all names.

    Args:
        asked: What was given as the source.
        results: What was done.
        source: Under which name a result tells its source.
    """
    if not isinstance(asked, str):
        return list(results)
    is_name = len(results) == 1 and _names(asked, uri.parse(results[0][source]).path)
    return results[0] if is_name or not has_magic(asked) else list(results)


def _names(path: str, there: str) -> bool:
    """Tell whether a path is the name of what is there, as it stands or with `[*]`, `[?]`, `[[]` for themselves."""
    given = uri.parse(path).path
    return there in (given, literal(given))


def _wanted(path: str, infos: Sequence[FileInfo]) -> list[FileInfo]:
    return [info for info in infos if not info.is_dir or _is_named(path, infos)]


def _is_named(path: str, infos: Sequence[FileInfo]) -> bool:
    """Tell whether what was found bears the name that was given, which may look like a pattern; or nothing was."""
    return not has_magic(path) or all(_names(path, info.path) for info in infos)


def _refuse_folders(paths: Sequence[str], found: Found) -> None:
    """Refuse a folder among several files; one alone is an error, too, which the transfer tells.

    Raises:
        IsADirError: Then.
    """
    folders = [info.path for path in paths for info in found[path] if info.is_dir]
    if folders and len(paths) > 1:
        raise IsADirError(
            f"{folders[0]} is a folder", path=folders[0], remedy="move it with a task of its own, or leave it out"
        )
