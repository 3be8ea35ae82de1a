"""Run one task in a process of its own, and print the most memory that it took, in kB.

The arguments are the name of the task, a folder for local files, and the bytes of what is moved.
"""

import sys
from pathlib import Path
from typing import Any

REMOTE = "cta://lst/large"


def made(name: str, folder: Path, size: int) -> Any:
    """Return the operator of a task; the DAG's file imports the same for each."""
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG, ObjectStoragePath
    from airflow.sdk.io.store import attach
    from airflow_provider_cta.operators.cta import CtaDownloadOperator, CtaUploadOperator
    from airflow_provider_cta.transfers.cta_to_object_storage import CtaToObjectStorageOperator
    from airflow_provider_cta.transfers.object_storage_to_cta import ObjectStorageToCtaOperator

    from tests.airflow.forgetful import Forgetful

    attach("forgetful", fs=Forgetful(size))

    def read() -> None:
        with ObjectStoragePath(REMOTE.replace("//", "//cta_default@")).open("rb") as file:
            while file.read(1 << 20):
                pass

    with DAG("one", schedule=None):
        makers: dict[str, Any] = {
            "nothing": lambda **same: PythonOperator(python_callable=lambda: None, **same),
            "download": lambda **same: CtaDownloadOperator(remote_path=REMOTE, local_path=folder / "file", **same),
            "upload": lambda **same: CtaUploadOperator(local_path=folder / "file", remote_path="lst/up", **same),
            "give": lambda **same: CtaToObjectStorageOperator(
                remote_path=REMOTE, storage_path="forgetful://box/new", **same
            ),
            "take": lambda **same: ObjectStorageToCtaOperator(
                storage_path="forgetful://box/file", remote_path="lst/taken", **same
            ),
            "path": lambda **same: PythonOperator(python_callable=read, **same),
        }
        return makers[name](task_id="task")


if __name__ == "__main__":
    import fsspec

    fsspec.register_implementation("forgetful", "tests.airflow.forgetful.Forgetful", clobber=True)
    made(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])).execute({})
    # ru_maxrss would begin with that of the process that started this one.
    sys.stdout.write(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
