"""Run a DAG whose results of tasks are kept at the data centre, and print what the metadata database has of them.

The environment says where, and how to get there; it names a home of its own.
"""

import json
import sys

DATA = [f"run {number}" for number in range(10_000)]


def main() -> None:
    """Run it."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.models.xcom import XComModel
    from airflow.sdk import DAG, task
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with DAG("large", schedule=None) as dag:

        @task
        def make() -> list[str]:
            return DATA

        @task
        def count(runs: list[str]) -> int:
            assert runs == DATA
            return len(runs)

        count(make())  # type: ignore[arg-type]  # what a task returns
    initdb()
    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]  # Airflow's
    SerializedDAG.bulk_write_to_db("dags-folder", None, [dag])
    SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(dag), bundle_name="dags-folder")
    finished = dag.test()
    with create_session() as session:
        rows = {row.task_id: row.value for row in session.scalars(select(XComModel))}
    sys.stdout.write("\n" + json.dumps({"state": str(finished.state), **rows}))


if __name__ == "__main__":
    main()
