"""An operator that makes a folder like another, or tells what would have to be done for that."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from airflow.sdk import Context

from airflow_provider_cta.operators.base import CtaOperator, Result, as_one, as_texts
from ctadata_providers import ConfigError, CtaClient, uri

Compare: TypeAlias = Literal["auto", "checksum", "mtime", "size"]


class CtaSyncOperator(CtaOperator):
    """Make a folder like another, one way: copy what is missing or differs.

    One of the two is a `cta://` address, the other a path on the worker. The result tells how many files were `copied`
    and how many are `unchanged`, how many names were `removed`, and the `size` of the copies.

    With `manifest` nothing is copied: the result is a list of chunks of what would be, each with `remote_path` and
    `local_path` as lists, so that other tasks do it side by side:

    .. code-block:: python

        manifest = CtaSyncOperator(task_id="plan", source="cta://lst/DL3/", target="/data/DL3", manifest=True)
        CtaDownloadOperator.partial(task_id="get").expand_kwargs(manifest.output)

    Args:
        source: The folder to copy.
        target: The folder to copy to, which is made.
        compare: What tells that a copy is right where the sizes are the same: `auto` (the checksum where the listing
            tells one, else the time), `checksum`, `mtime` or `size`.
        delete: Remove what only the target has.
        include: Patterns of what is taken.
        exclude: Patterns of what is left alone, here and there.
        manifest: Only tell what would be copied.
        chunk_size: Files in a chunk of the manifest.
        cta_conn_id: The connection for an address that names none.
        checksum: `auto`, `require` or `off`; default what the connection says.
        **kwargs: What every operator takes.
    """

    template_fields: Sequence[str] = ("source", "target", "include", "exclude", "cta_conn_id")

    def __init__(
        self,
        *,
        source: str | Path,
        target: str | Path,
        compare: Compare = "auto",
        delete: bool = False,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        manifest: bool = False,
        chunk_size: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = as_texts(source)
        self.target = as_texts(target)
        self.compare = compare
        self.delete = delete
        self.include = include
        self.exclude = exclude
        self.manifest = manifest
        self.chunk_size = chunk_size

    @property
    def at_the_door(self) -> tuple[Any, str]:
        """The one of the two that is remote."""
        return str(self.source if uri.is_uri(str(self.source)) else self.target), self.cta_conn_id

    def _work(self, context: Context) -> Result | list[dict[str, list[str]]]:
        if self.chunk_size < 1:
            raise ConfigError(f"chunk_size={self.chunk_size} cannot be used", remedy="give a number from 1")
        if self.manifest and self.delete:
            raise ConfigError("a manifest removes nothing", remedy="leave out manifest or delete")
        for name in ("source", "target"):
            as_one(getattr(self, name), name)
        remote, _ = self.at_the_door
        with self._client(self._conn_id(remote) if uri.is_uri(remote) else self.cta_conn_id) as client:
            self._go_on(context, client)
            if self.manifest:
                return self._plan(client)
            result = self._sync(client)
            folder = uri.format_uri(uri.parse(remote).path, folder=True)
            reads = uri.is_uri(str(self.source))
            self._tell(context, client.config, read=[folder] if reads else (), wrote=() if reads else [{"uri": folder}])
            return result

    def _sync(self, client: CtaClient) -> Result:
        done = client.sync(
            self.source,
            self.target,
            compare=self.compare,
            delete=self.delete,
            include=self.include,
            exclude=self.exclude,
        )
        result = {"copied": done.copied, "unchanged": done.unchanged, "removed": done.removed, "size": done.size}
        self.log.info("Synced %s to %s: %s", self.source, self.target, result)
        return result

    def _plan(self, client: CtaClient) -> list[dict[str, list[str]]]:
        done = client.sync(
            self.source, self.target, compare=self.compare, include=self.include, exclude=self.exclude, dry_run=True
        )
        names = [change.path for change in done.changes if change.kind in ("copy", "replace") and not change.is_dir]
        down = uri.is_uri(str(self.source))
        there, here = (self.source, self.target) if down else (self.target, self.source)
        chunks = [names[at : at + self.chunk_size] for at in range(0, len(names), self.chunk_size)]
        self.log.info("%d files in %d chunks, %d unchanged", len(names), len(chunks), done.unchanged)
        return [
            {
                "remote_path": [_below(str(there), name) for name in chunk],
                "local_path": [str(Path(here) / name) for name in chunk],
            }
            for chunk in chunks
        ]


def _below(folder: str, inner: str) -> str:
    """Return the address of what is below a folder, with the connection that it names."""
    address = uri.parse(folder)
    return uri.format_uri(f"{address.path}/{inner}", name=address.name)
