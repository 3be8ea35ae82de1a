"""A storage in memory that fails on demand, and how streams go to it and back."""

import json
from typing import Any

from airflow_provider_cta.transfers.cta_to_object_storage import CtaToObjectStorageOperator
from airflow_provider_cta.transfers.object_storage_to_cta import ObjectStorageToCtaOperator
from fsspec.implementations.memory import MemoryFileSystem

LARGE = bytes(range(256)) * 20_000


class Shelf(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A storage in memory that can fail: the last bytes of a file do not fit, or get lost."""

    store: dict[str, Any] = {}  # noqa: RUF012 (fsspec's way)
    pseudo_dirs = [""]  # noqa: RUF012 (fsspec's way)
    room: int | None = None
    on_write: Any = None

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        file = super()._open(path, mode, **kwargs)
        if mode == "wb":
            write = file.write

            def limited(data: bytes) -> int:
                if Shelf.on_write is not None:
                    Shelf.on_write()
                if Shelf.room is not None and file.tell() + len(data) > Shelf.room:
                    raise OSError("the shelf is full")
                return int(write(data))

            file.write = limited
        return file


def run(operator: Any, context: Any = None) -> Any:
    """Run an operator and return its result, which must be plain JSON."""
    result = operator.execute(context or {})
    assert json.loads(json.dumps(result)) == result
    return result


def give(remote_path: Any, storage_path: Any, **settings: Any) -> Any:
    return CtaToObjectStorageOperator(task_id="give", remote_path=remote_path, storage_path=storage_path, **settings)


def take(storage_path: Any, remote_path: Any, **settings: Any) -> Any:
    return ObjectStorageToCtaOperator(task_id="take", remote_path=remote_path, storage_path=storage_path, **settings)
