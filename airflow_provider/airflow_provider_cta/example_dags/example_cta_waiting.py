"""Wait for files at ``cta://`` addresses in each way that there is, with the connection ``cta_default``."""

from datetime import UTC, datetime

from airflow.sdk import DAG, Asset, AssetWatcher, Param, task

from airflow_provider_cta.assets import asset_uri
from airflow_provider_cta.sensors.cta import CtaPathSensor
from airflow_provider_cta.triggers.cta import CtaFolderTrigger

NIGHT = "{{ params.night }}"

with DAG(
    "example_cta_waiting",
    schedule=None,
    tags=["cta", "example"],
    doc_md=__doc__,
    params={"night": Param("cta://lst/DL3/20241114", type="string", description="folder of files")},
) as waiting:
    # [START cta_sensor]
    index = CtaPathSensor(task_id="index", path=f"{NIGHT}/hdu-index.fits", mode="reschedule", timeout=3600)
    # [END cta_sensor]

    # [START cta_sensor_deferrable]
    runs = CtaPathSensor(
        task_id="runs",
        path=f"{NIGHT}/run*.fits",
        min_count=2,
        newer_than=datetime(2024, 1, 1, tzinfo=UTC),
        stable_for=1,
        poke_interval=1,
        deferrable=True,
        start_from_trigger=True,
    )
    # [END cta_sensor_deferrable]

    # [START cta_sensor_no_worker]
    both = CtaPathSensor(
        task_id="both",
        path=[f"{NIGHT}/hdu-index.fits", f"{NIGHT}/run*.fits"],
        deferrable=True,
        start_from_trigger=True,
        end_from_trigger=True,
    )
    # [END cta_sensor_no_worker]

    # [START cta_sensor_decorator]
    @task.cta_sensor(path=f"{NIGHT}/run*.fits", metadata=True, poke_interval=10)
    def large_enough(found: list[dict[str, int]]) -> bool | int:
        size = sum(file["size"] for file in found)
        return size > 1000 and size  # False waits on

    # [END cta_sensor_decorator]

    [index, runs, both] >> large_enough()

# [START cta_watcher]
FOLDER = "cta://lst/DL3/20241114/"
arrivals = Asset(
    asset_uri(FOLDER),
    watchers=[AssetWatcher(name="arrivals", trigger=CtaFolderTrigger(FOLDER, stable_for=120))],
)
# [END cta_watcher]

# [START cta_folder_dag]
with DAG("example_cta_on_arrival", schedule=[arrivals], tags=["cta", "example"]) as on_arrival:

    @task
    def tell(triggering_asset_events: dict[Asset, list[object]]) -> list[str]:
        payloads = [event.extra["payload"] for event in triggering_asset_events[arrivals]]
        return [address for payload in payloads for address in payload["changed"]]

    tell()
# [END cta_folder_dag]
