"""What goes where: sources that were looked for, each with its target."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_cta.operators.base import OnMissing, as_list, inside, skip_if
from airflow_provider_cta.wanted import is_pattern
from ctadata_providers import ConfigError, CtaClient, FileInfo, NotFoundError

Found = Mapping[str, Sequence[FileInfo]]
"""What is there of paths and patterns."""


def look_for(client: CtaClient, paths: Sequence[str], on_missing: OnMissing) -> Found:
    """Return what is there of paths and patterns.

    Raises:
        NotFoundError: When one is missing, with `on_missing="fail"`.
        AirflowSkipException: When nothing is there, with `on_missing="skip"`.
    """
    found = client.glob_many(paths)
    missing = [path for path, infos in found.items() if not infos]
    if missing and on_missing == "fail":
        raise NotFoundError(f"{len(missing)} of {len(paths)} are not there, such as {missing[0]}", path=missing[0])
    skip_if(not any(found.values()), on_missing, "nothing of that")
    return found


def paired(paths: Sequence[str], found: Found, targets: Any, name: str) -> list[tuple[FileInfo, str]]:
    """Return each file that was found with its target.

    Args:
        paths: The paths and patterns, in their order.
        found: What is there of them; of several, folders are left out.
        targets: One target (a folder, ending in `/`, for several files), or a list of as many as there are paths.
        name: What the targets are called, for errors.

    Raises:
        ConfigError: When the targets do not fit, or two files would have the same.
    """
    if isinstance(targets, Sequence) and not isinstance(targets, str):
        several = as_list(targets, name)
        if len(several) != len(paths) or any(map(is_pattern, paths)):
            raise ConfigError(f"{len(paths)} sources and {len(several)} targets", remedy="give one for each")
        pairs = [
            (found[path][0], inside(target, path)) for path, target in zip(paths, several, strict=True) if found[path]
        ]
    else:
        (target,) = as_list(targets, name)
        if not target.endswith("/") and (len(paths) > 1 or is_pattern(paths[0])):
            raise ConfigError(f"{target} cannot take several files", remedy="end it with '/': a folder")
        alone = len(paths) == 1 and not is_pattern(paths[0])  # a folder is then an error, which the transfer tells
        infos = {info.path: info for path in paths for info in found[path] if alone or not info.is_dir}
        pairs = [(info, inside(target, info.path)) for info in infos.values()]
    taken: dict[str, str] = {}
    for info, target in pairs:
        if target in taken:
            raise ConfigError(f"{taken[target]} and {info.path} would both be {target}", remedy="give other targets")
        taken[target] = info.path
    return pairs
