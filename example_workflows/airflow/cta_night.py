"""One night of DL3 event lists on cta:// addresses, from the index to a table and a plot.

The runs are those of the night's HDU index: the DAG maps over them. It uses the connection ``cta_default``; the folder
``work`` must be one that all workers see. ``dl3_analysis.py`` lies in the DAGs folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag, task, task_group
from airflow_provider_cta.operators.cta import CtaDownloadOperator, CtaUploadOperator
from airflow_provider_cta.sensors.cta import CtaPathSensor

INDEX = "{{ params.night }}/hdu-index.fits.gz"
OWN = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()  # nobody else can have made a folder there
WORK = "{{ params.work }}/{{ run_id }}"
ADDRESS = {"type": "string", "pattern": "^cta://.*[^/]$"}


@dag(
    schedule=None,
    catchup=False,
    tags=["cta", "example"],
    doc_md=__doc__,
    params={
        "night": Param("cta://lst/DL3/20241114", **ADDRESS, description="folder of the index and the event lists"),
        "out": Param("cta://lst/users/me/20241114", **ADDRESS, description="folder for the table and the plot"),
        "work": Param(f"{OWN}/cta_night", type="string", description="folder for local files"),
    },
)
def cta_night() -> None:
    """Fetch the index, count each run's events, store the merged table and its plot."""
    night_is_there = CtaPathSensor(
        task_id="night_is_there", path=INDEX, mode="reschedule", poke_interval=60, timeout=3600
    )
    index = CtaDownloadOperator(task_id="index", remote_path=INDEX, local_path=f"{WORK}/")

    @task
    def runs(index: dict[str, Any], params: dict[str, Any]) -> list[dict[str, str]]:
        from dl3_analysis import list_runs

        local = Path(index["local_path"])
        return [
            {"remote_path": f"{params['night']}/{file}", "local_path": str(local.with_name(f"{run}.fits.gz"))}
            for run, file in list_runs(local).items()
        ]

    @task
    def histogram(events: dict[str, Any]) -> str:
        import dl3_analysis

        table = events["local_path"].replace(".fits.gz", ".ecsv")
        dl3_analysis.histogram(events["local_path"]).write(table, overwrite=True)
        return table

    @task_group
    def one_run(remote_path: str, local_path: str) -> Any:
        events = CtaDownloadOperator(task_id="events", remote_path=remote_path, local_path=local_path)
        return histogram(events.output)

    @task
    def merge(tables: list[str]) -> str:
        import dl3_analysis
        from astropy.table import Table

        merged = Path(tables[0]).with_name("table.ecsv")
        dl3_analysis.merge(map(Table.read, tables)).write(merged, overwrite=True)
        return str(merged)

    @task
    def plot(table: str) -> str:
        import dl3_analysis
        from astropy.table import Table

        picture = Path(table).with_name("plot.png")
        dl3_analysis.plot(Table.read(table), picture)
        return str(picture)

    night_is_there >> index
    table = merge(one_run.expand_kwargs(runs(index.output)))
    for name, local in (("table", table), ("plot", plot(table))):
        CtaUploadOperator(task_id=f"store_{name}", local_path=local, remote_path="{{ params.out }}/")


cta_night()
