"""A night of DL1 files, from their arrival to a table of their quality, a plot, and the start of what comes next.

The DAG waits in the triggerer until all subruns of the night are there and nothing has changed for a while; then it
maps over them. Each is fetched, checked and summarised; the merged table and its plot are uploaded. The table is an
asset behind the alias ``cta_dl1_night``, which starts the DAG ``cta_dl3``.

It uses the connection ``cta_default``; the folder ``work`` must be one that all workers see. ``dl1_quality.py`` lies in
the DAGs folder. To run it each day at noon, for the night before, give it a schedule::

    schedule="0 12 * * *", start_date=datetime(2024, 11, 1), catchup=False
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import AssetAlias, Param, dag, task, task_group
from airflow_provider_cta.operators.cta import CtaDownloadOperator, CtaUploadOperator
from airflow_provider_cta.retries import CtaRetryPolicy
from airflow_provider_cta.sensors.cta import CtaPathSensor

DAY_BEFORE = "((dag_run.logical_date or dag_run.run_after) - macros.timedelta(days=1)).strftime('%Y%m%d')"
NIGHT = f"{{{{ params.night or {DAY_BEFORE} }}}}"
FILES = f"{{{{ params.dl1 }}}}/{NIGHT}/{{{{ params.version }}}}/dl1_LST-1.Run*.*.h5"
OWN = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()  # nobody else can have made a folder there
WORK = "{{ params.work }}/{{ run_id }}"
ADDRESS = {"type": "string", "pattern": "^cta://.*[^/]$"}


@dag(
    schedule=None,
    catchup=False,
    tags=["cta", "example"],
    doc_md=__doc__,
    default_args={"retries": 3, "retry_policy": CtaRetryPolicy()},
    params={
        "dl1": Param("cta://lst/DL1", **ADDRESS, description="folder of the nights"),
        "night": Param(
            None, type=["null", "string"], pattern=r"^\d{8}$", description="default: the night before the run"
        ),
        "version": Param("v0.1", type="string", description="folder of a night"),
        "subruns": Param(10, type="integer", minimum=1, description="how many files make a night, at least"),
        "calm": Param(300, type="number", minimum=0, description="seconds for which nothing must have changed"),
        "out": Param("cta://lst/users/me/quality", **ADDRESS, description="gets a folder for each night"),
        "work": Param(f"{OWN}/cta_dl1_night", type="string", description="folder for local files"),
    },
)
def cta_dl1_night() -> None:
    """Wait for the night, summarise each subrun, store the merged table and its plot."""
    subruns = CtaPathSensor(
        task_id="night_is_there",
        path=FILES,
        min_count="{{ params.subruns }}",
        stable_for="{{ params.calm }}",
        timeout=12 * 3600,
        deferrable=True,
    )

    @task
    def summarise(file: dict[str, Any]) -> str:
        import dl1_quality

        table = str(Path(file["local_path"]).with_suffix(".ecsv"))
        dl1_quality.summarise(file["local_path"]).write(table, overwrite=True)
        return table

    @task_group
    def subrun(remote_path: str) -> Any:
        fetched = CtaDownloadOperator(task_id="fetch", remote_path=remote_path, local_path=f"{WORK}/")
        return summarise(fetched.output)

    @task
    def merge(tables: list[str]) -> str:
        import dl1_quality
        from astropy.table import Table

        night = Path(tables[0]).with_name("dl1_quality.ecsv")
        dl1_quality.merge(map(Table.read, tables)).write(night, overwrite=True)
        return str(night)

    @task
    def plot(table: str) -> str:
        import dl1_quality
        from astropy.table import Table

        picture = Path(table).with_suffix(".png")
        dl1_quality.plot(Table.read(table), picture)
        return str(picture)

    out = f"{{{{ params.out }}}}/{NIGHT}/"
    table = merge(subrun.expand(remote_path=subruns.output))
    picture = CtaUploadOperator(task_id="store_plot", local_path=plot(table), remote_path=out)
    # Last, because what this starts may want the plot too.
    picture >> CtaUploadOperator(
        task_id="publish_table", local_path=table, remote_path=out, outlets=[AssetAlias("cta_dl1_night")]
    )


cta_dl1_night()
