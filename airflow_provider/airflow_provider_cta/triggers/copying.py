"""Triggers that have servers copy files and folders among themselves."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from airflow_provider_cta.copying import Planned, Result, exactly, plan_of_tree, still_there
from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.triggers.holding import CopyTrigger
from ctadata_providers import CtaClient

_NAMED = 100
"""So many files that are left to a worker are named; where there are more, the worker looks for what is missing."""


class CtaCopyTrigger(CopyTrigger):
    """Have servers copy files from one connection to another; fires once.

    The event is `{"status": "success", "copied": [...], "left": [...]}` with a result for each pair, in their order,
    None for one that the servers do not copy among themselves, and these pairs; or what `error_of` makes an error of.

    Args:
        pairs: Addresses or paths of the files, each with that of its copy.
        source_conn_id: The connection of the files.
        target_conn_id: The connection of the copies.
        overwrite: Replace what exists and is another file.
        checksum: `auto`, `require` or `off`; default what each connection says.
    """

    def __init__(
        self,
        pairs: Sequence[Sequence[str]],
        source_conn_id: str = CtaHook.default_conn_name,
        target_conn_id: str = CtaHook.default_conn_name,
        overwrite: bool = True,
        checksum: str | None = None,
    ) -> None:
        super().__init__(
            source_conn_id=source_conn_id, target_conn_id=target_conn_id, overwrite=overwrite, checksum=checksum
        )
        self.pairs = [(source, target) for source, target in pairs]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        name, arguments = super().serialize()
        return name, {"pairs": [list(pair) for pair in self.pairs], **arguments}

    def _plan(self, source: CtaClient, target: CtaClient) -> Iterable[Planned]:
        infos = source.glob_many(dict.fromkeys(path for path, _ in self.pairs))
        existing = target.glob_many(dict.fromkeys(path for _, path in self.pairs))
        return [Planned(still_there(path, infos), to, exactly(to, existing)) for path, to in self.pairs]

    async def _hold(self, ended: AsyncIterator[tuple[Planned, Result | None]]) -> dict[str, Any]:
        made = {planned.target: result async for planned, result in ended}
        return {
            "copied": [made[target] for _, target in self.pairs],
            "left": [[source, target] for source, target in self.pairs if made[target] is None],
        }


class CtaCopyFolderTrigger(CopyTrigger):
    """Have servers copy all files below a folder to another one; fires once.

    The folders are looked at here, so that neither the arguments nor the event grow with them. The event is `{"status":
    "success", "files": n, "size": n, "left": [...]}` with the number of files that are there now, their bytes, and the
    pairs that the servers do not copy among themselves; `left` is None when these are so many that not all were tried,
    and a worker has to look for what is missing. Or it is what `error_of` makes an error of.

    Args:
        source: Address or path of the folder.
        target: That of its copy, which is made with the folders in it.
        source_conn_id: The connection of the folder.
        target_conn_id: The connection of its copy.
        overwrite: Replace what exists and is another file.
        checksum: `auto`, `require` or `off`; default what each connection says.
    """

    def __init__(
        self,
        source: str,
        target: str,
        source_conn_id: str = CtaHook.default_conn_name,
        target_conn_id: str = CtaHook.default_conn_name,
        overwrite: bool = True,
        checksum: str | None = None,
    ) -> None:
        super().__init__(
            source_conn_id=source_conn_id, target_conn_id=target_conn_id, overwrite=overwrite, checksum=checksum
        )
        self.source = source
        self.target = target

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        name, arguments = super().serialize()
        return name, {"source": self.source, "target": self.target, **arguments}

    def _plan(self, source: CtaClient, target: CtaClient) -> Iterable[Planned]:
        return plan_of_tree(source, self.source, target, self.target)

    async def _hold(self, ended: AsyncIterator[tuple[Planned, Result | None]]) -> dict[str, Any]:
        files = size = 0
        left: list[list[str]] = []
        async for planned, result in ended:
            if result is not None:
                files, size = files + 1, size + result["size"]
            elif len(left) < _NAMED:
                left.append([planned.info.uri, planned.target])
            else:
                return {"files": files, "size": size, "left": None}
        return {"files": files, "size": size, "left": left}
