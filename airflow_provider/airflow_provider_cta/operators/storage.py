"""Operators that list and remove what is at the data centre."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from airflow.sdk import Context

from airflow_provider_cta.copying import exactly
from airflow_provider_cta.operators.base import CtaOperator, OnMissing, as_list, check_on_missing, skip_if
from airflow_provider_cta.operators.pairs import Found
from airflow_provider_cta.wanted import told
from ctadata_providers import ConfigError, CtaClient, FileInfo, NotADirError, NotFoundError, uri
from ctadata_providers.patterns import has_magic


class CtaListOperator(CtaOperator):
    """List what matches; the result is a list of canonical addresses, for `.expand`.

    Args:
        path: A folder (its entries), a pattern, a file, or a list of these.
        exclude: What is left out, such as what was handled already: addresses, plain paths and patterns.
        metadata: The result is a list of what the listing tells (`uri`, `is_dir`, `size`, `modified`, `etag`,
            `checksums`, `locality`), not of addresses.
        files_only: Leave out folders.
        on_missing: `skip`: skip the task when nothing is found; `fail` is an error only where a folder does not exist.
        cta_conn_id: The connection for an address that names none.
        **kwargs: What every operator takes.
    """

    template_fields: Sequence[str] = ("path", "exclude", "cta_conn_id")

    def __init__(
        self,
        *,
        path: str | Sequence[str],
        exclude: str | Sequence[str] = (),
        metadata: bool = False,
        files_only: bool = False,
        on_missing: OnMissing = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.exclude = exclude
        self.metadata = metadata
        self.files_only = files_only
        self.on_missing = on_missing

    def _work(self, context: Context) -> list[Any]:
        check_on_missing(self.on_missing)
        paths = as_list(self.path, "path")
        left_out = as_list(self.exclude, "exclude")
        known = {uri.parse(path).path for path in left_out if not has_magic(path)}
        with self._client(self._one_conn_id(paths)) as client:
            patterns = [path for path in left_out if has_magic(path)]
            for infos in client.glob_many(patterns).values() if patterns else ():
                known.update(info.path for info in infos)
            found: dict[str, FileInfo] = {}
            for path in paths:
                with suppress(*([NotFoundError] if self.on_missing == "skip" else [])):
                    found.update((info.path, info) for info in self._listed(client, path))
        kept = [info for info in found.values() if info.path not in known and not (self.files_only and info.is_dir)]
        skip_if(not kept, self.on_missing, f"nothing new of {self.path} is there")
        self.log.info("%s: %d found, %d left out", self.path, len(kept), len(found) - len(kept))
        return told(kept, metadata=self.metadata)

    def _listed(self, client: CtaClient, path: str) -> list[FileInfo]:
        if has_magic(path):
            return list(client.glob(path))
        info = client.stat(path)
        return sorted(client.list_dir(path), key=lambda entry: entry.path) if info.is_dir else [info]


class CtaRemoveOperator(CtaOperator):
    """Remove files and folders; the result is a list of the addresses that were removed.

    Names are literal: one with `*`, `?` or `[` that is not there, or not any more, never stands for others. Patterns
    are asked for with `glob`.

    Args:
        path: A file, a folder, or a list of these; `cta://name@...` names the connection.
        glob: Paths with `*`, `?` or `[` are patterns. One that is also the name of something is an error, and nothing
            is removed then; `[*]`, `[?]`, `[[]` stand for themselves.
        recursive: Also remove folders with all that they hold, but for the root and what is right below it.
        on_missing: `skip` (default) passes over what is not there, so that a task can be tried again, or `fail`.
        cta_conn_id: The connection for an address that names none.
        **kwargs: What every operator takes.
    """

    template_fields: Sequence[str] = ("path", "cta_conn_id")

    def __init__(
        self,
        *,
        path: str | Sequence[str],
        glob: bool = False,
        recursive: bool = False,
        on_missing: OnMissing = "skip",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.glob = glob
        self.recursive = recursive
        self.on_missing = on_missing

    def _work(self, context: Context) -> list[str]:
        check_on_missing(self.on_missing)
        paths = as_list(self.path, "path")
        removed: list[str] = []
        with self._client(self._one_conn_id(paths)) as client:
            for path, infos in (_matching(client, paths) if self.glob else self._named(client, paths)).items():
                if not infos and self.on_missing == "fail":
                    raise NotFoundError(f"cannot remove {path}: it is not there", path=path)
                for info in infos:
                    with suppress(*([NotFoundError] if self.on_missing == "skip" else [])):
                        client.remove(info.path, recursive=self.recursive)
                        removed.append(info.uri)
        self.log.info("Removed %d", len(removed))
        return removed

    def _named(self, client: CtaClient, paths: list[str]) -> Found:
        """Return what is there under each name."""
        found = {**client.glob_many(path for path in paths if not has_magic(path))}
        for path in filter(has_magic, paths):
            try:
                found[path] = [client.stat(path)]
            except (NotFoundError, NotADirError):
                self.log.warning("Nothing has the name %s; with glob=True it would be a pattern", path)
                found[path] = []
        return {path: found[path] for path in paths}


def _matching(client: CtaClient, paths: list[str]) -> Found:
    """Return what is there of paths and patterns.

    Raises:
        ConfigError: When a pattern is a name, too: once that is removed, the next try would remove other files.
    """
    found = client.glob_many(paths)
    for path in filter(has_magic, paths):
        if exactly(path, found) is not None:
            raise ConfigError(
                f"{path} is also the name of something", path=path, remedy="write [*], [?], [[], or leave out glob"
            )
    return found
