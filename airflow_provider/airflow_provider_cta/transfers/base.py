"""What the two directions have in common: two sides, several files at once, an end on kill, and what is told."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from airflow.sdk import Asset, Context, ObjectStoragePath
from airflow.sdk.lineage import get_hook_lineage_collector

from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.operators.base import CtaOperator, OnMissing, Result, as_texts, event_extra
from airflow_provider_cta.transfers.places import Place
from airflow_provider_cta.transfers.streams import each
from ctadata_providers import ConfigError
from ctadata_providers.patterns import has_magic

StoragePath: TypeAlias = str | ObjectStoragePath
T = TypeVar("T")


class StreamOperator(CtaOperator):
    """An operator between the data centre and another storage; the arguments are those of its two children."""

    template_fields: Sequence[str] = ("remote_path", "storage_path", "cta_conn_id", "storage_conn_id")

    def __init__(
        self,
        *,
        remote_path: str | Sequence[str],
        storage_path: StoragePath | Sequence[StoragePath],
        storage_conn_id: str | None = None,
        overwrite: bool = True,
        recursive: bool = False,
        on_missing: OnMissing = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.remote_path = remote_path
        self.storage_path = as_texts(storage_path)
        self.storage_conn_id = storage_conn_id
        self.overwrite = overwrite
        self.recursive = recursive
        self.on_missing = on_missing

    @property
    def _storage_paths(self) -> str | list[str]:
        """What was given as the other side, as texts."""
        given, kinds = self.storage_path, (str, ObjectStoragePath, Path)
        if isinstance(given, kinds):
            return str(given)
        if not isinstance(given, Sequence) or not all(isinstance(path, kinds) for path in given):
            raise ConfigError(f"storage_path={given!r} cannot be used", remedy="give a path, or a list of some")
        return [str(path) for path in given]

    def _is_folder(self, source: Any) -> bool:
        """Tell whether a source is a folder with all that is below it."""
        return isinstance(source, str) and not has_magic(source) and (self.recursive or source.endswith("/"))

    def _place(self, path: str) -> Place:
        """Return the other side of a transfer.

        Raises:
            ConfigError: When it is at a data centre, too, or no provider offers it.
        """
        place = Place.of(path, self.storage_conn_id)
        if place.is_cta:
            raise ConfigError(f"{place.uri} is at a data centre, too", path=place.uri, remedy="use CtaCopyOperator")
        return place

    def _each(self, work: Callable[[T, threading.Event], Result], items: Sequence[T]) -> list[Result]:
        stop = threading.Event()
        return each(lambda item: work(item, stop), items, stop)

    def _result(
        self, source: Any, target: Any, results: list[Result], done: Result | list[Result], **places: str
    ) -> Result | list[Result]:
        """Return the result of the task: of a folder the sum, else what was done.

        Args:
            source: What was given as the source.
            target: What was given as the target.
            results: Of the files.
            done: The same, or of one file what was done.
            **places: What the result of a folder tells of its places.
        """
        size = sum(result["size"] for result in results)
        self.log.info("%d files, %d bytes from %s to %s", len(results), size, source, target)
        if self._is_folder(source):
            return {**places, "files": len(results), "size": size}
        return done

    def _tell_storage(self, context: Context, results: Sequence[Result], *, wrote: bool) -> None:
        """Tell lineage of the other side, and what was written there to the events of its assets."""
        collector, hook = get_hook_lineage_collector(), CtaHook(self.cta_conn_id)
        add = collector.add_output_asset if wrote else collector.add_input_asset
        by_uri: dict[str, Result] = {}
        for result in results:
            try:
                by_uri[Asset(uri=result["storage_path"]).uri] = result
            except ValueError as error:  # the provider of that storage names its assets otherwise
                self.log.debug("%s is no asset: %s", result["storage_path"], error)
                continue
            add(context=hook, uri=result["storage_path"])
        events = context.get("outlet_events")
        if events is None or not wrote:
            return
        for outlet in self.outlets:
            if isinstance(outlet, Asset) and outlet.uri in by_uri:
                events[outlet].extra.update(event_extra(by_uri[outlet.uri]))
