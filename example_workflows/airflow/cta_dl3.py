"""What follows a night of DL1: choose the runs that are good enough for DL3.

The DAG runs whenever ``cta_dl1_night`` has published the table of a night. Which one, the event of the asset says, with
the checksums of the upload, with which the download here is compared. The chosen runs are stored beside the table; the
reconstruction that makes DL3 of them would be mapped over them. It uses the connection ``cta_default``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import AssetAlias, Param, dag, task, task_group
from airflow_provider_cta.assets import address_of
from airflow_provider_cta.operators.cta import CtaDownloadOperator, CtaUploadOperator
from airflow_provider_cta.retries import CtaRetryPolicy

OWN = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()  # nobody else can have made a folder there
NIGHTS = AssetAlias("cta_dl1_night")


@dag(
    schedule=[NIGHTS],
    catchup=False,
    tags=["cta", "example"],
    doc_md=__doc__,
    default_args={"retries": 3, "retry_policy": CtaRetryPolicy()},
    params={"work": Param(f"{OWN}/cta_dl3", type="string", description="folder for local files")},
)
def cta_dl3() -> None:
    """Fetch each table that was published, choose the good runs, store them beside it."""

    @task
    def published(triggering_asset_events: Any, params: dict[str, Any], run_id: str) -> list[dict[str, Any]]:
        last = {address_of(event.asset.uri): event.extra for event in triggering_asset_events[NIGHTS]}
        return [
            {
                "table": address,
                "folder": f"{address.rpartition('/')[0]}/",
                "local": f"{params['work']}/{run_id}/{number}/dl1_quality.ecsv",
                "told": extra["checksums"],
            }
            for number, (address, extra) in enumerate(last.items())
        ]

    @task
    def choose(fetched: dict[str, Any], told: dict[str, str]) -> str:
        import dl1_quality
        from astropy.table import Table

        differ = [kind for kind, value in told.items() if fetched["checksums"].get(kind, value) != value]
        if differ:
            raise ValueError(f"{fetched['uri']} is not what was published: its {', '.join(differ)} differs")
        good = Path(fetched["local_path"]).with_name("good_runs.ecsv")
        dl1_quality.choose(Table.read(fetched["local_path"])).write(good, overwrite=True)
        return str(good)

    @task_group
    def night(table: str, folder: str, local: str, told: dict[str, str]) -> None:
        fetched = CtaDownloadOperator(task_id="fetch", remote_path=table, local_path=local)
        good: Any = choose(fetched.output, told)
        CtaUploadOperator(task_id="store", local_path=good, remote_path=folder)

    night.expand_kwargs(published())


cta_dl3()
