"""List, fetch, store, copy, sync and remove files at ``cta://`` addresses, with the connection ``cta_default``."""

import os
from pathlib import Path

from airflow.sdk import DAG, Asset, Param, task

from airflow_provider_cta.assets import asset_uri
from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.operators.cta import (
    CtaCopyOperator,
    CtaDownloadOperator,
    CtaListOperator,
    CtaRemoveOperator,
    CtaSyncOperator,
    CtaUploadOperator,
)
from airflow_provider_cta.retries import CtaRetryPolicy
from airflow_provider_cta.transfers.cta_to_object_storage import CtaToObjectStorageOperator
from airflow_provider_cta.transfers.object_storage_to_cta import ObjectStorageToCtaOperator

OWN = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()  # nobody else can have made a folder there
NIGHT, OUT, WORK = "{{ params.night }}", "{{ params.out }}", "{{ params.work }}/{{ run_id }}"

with DAG(
    "example_cta_transfers",
    schedule=None,
    tags=["cta", "example"],
    doc_md=__doc__,
    # [START cta_retry_policy]
    default_args={"retries": 3, "retry_policy": CtaRetryPolicy()},
    # [END cta_retry_policy]
    params={
        "night": Param("cta://lst/DL3/20241114", type="string", description="folder of files"),
        "out": Param("cta://lst/users/me/example", type="string", description="gets a copy"),
        "work": Param(f"{OWN}/example_cta", type="string", description="folder for local files"),
    },
) as dag:
    # [START cta_list]
    new = CtaListOperator(task_id="new", path=f"{NIGHT}/*.fits", exclude=f"{NIGHT}/*_old.fits", files_only=True)
    # [END cta_list]

    # [START cta_download]
    fetched = CtaDownloadOperator.partial(task_id="fetch", local_path=f"{WORK}/in/").expand(remote_path=new.output)
    # [END cta_download]

    @task
    def summarise(files: list[dict[str, object]], params: dict[str, str], run_id: str) -> str:
        summary = Path(params["work"], run_id, "out", "summary.txt")
        summary.parent.mkdir(parents=True, exist_ok=True)
        summary.write_text("".join(f"{file['uri']} {file['size']} {file['checksums']}\n" for file in files))
        return str(summary)

    # [START cta_upload]
    stored = CtaUploadOperator(
        task_id="store",
        local_path=summarise(fetched.output),
        remote_path=f"{OUT}/",
        outlets=[Asset(asset_uri("cta://lst/users/me/example/summary.txt"))],
    )
    # [END cta_upload]

    # [START cta_sync]
    plan = CtaSyncOperator(
        task_id="plan", source=NIGHT, target=f"{WORK}/copy", include=["*.fits"], manifest=True, chunk_size=2
    )
    copied = CtaDownloadOperator.partial(task_id="copy").expand_kwargs(plan.output)
    same = CtaSyncOperator(task_id="same", source=f"{WORK}/copy", target=f"{OUT}/copy", delete=True)
    # [END cta_sync]

    # [START cta_copy]
    duplicate = CtaCopyOperator(
        task_id="duplicate", source=f"{NIGHT}/hdu-index.fits", target=f"{OUT}/copy/index.fits", deferrable=True
    )
    # [END cta_copy]

    # [START cta_object_storage]
    given = CtaToObjectStorageOperator(
        task_id="give", remote_path=f"{NIGHT}/hdu-index.fits", storage_path=f"file://{WORK}/other/"
    )
    taken = ObjectStorageToCtaOperator(
        task_id="take", storage_path=f"file://{WORK}/other/hdu-index.fits", remote_path=f"{OUT}/copy/taken.fits"
    )
    # [END cta_object_storage]

    # [START cta_hook]
    @task
    def largest(folder: str) -> str:
        with CtaHook().client() as cta:
            return max(cta.list_dir(folder), key=lambda info: info.size or 0).uri

    # [END cta_hook]

    # [START cta_remove]
    removed = CtaRemoveOperator(task_id="remove", path=[f"{OUT}/summary.txt", f"{OUT}/copy/"], recursive=True)
    # [END cta_remove]

    copied >> same >> [duplicate, given]
    given >> taken
    [stored, duplicate, taken] >> largest(f"{OUT}/copy") >> removed
