"""The button of a task that leads to its file."""

from typing import Any

import pytest
from airflow_provider_cta.links.cta import CtaDoorLink, url_of
from airflow_provider_cta.operators.cta import CtaDownloadOperator
from airflow_provider_cta.sensors.cta import CtaPathSensor

from ctadata_providers import Config, uri


def link_of(operator: Any) -> str:
    return CtaDoorLink().get_link(operator, ti_key=None)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("cta://lst/DL3/run 1#a%20.fits", "https://door.example.org/pnfs/cta/lst/DL3/run%201%23a%2520.fits"),
        ("lst/DL3/", "https://door.example.org/pnfs/cta/lst/DL3/"),
        ("/", "https://door.example.org/pnfs/cta/"),
        ("cta://lst/DL3/größe", "https://door.example.org/pnfs/cta/lst/DL3/gr%C3%B6%C3%9Fe"),
    ],
)
def test_the_link_is_the_url_at_the_door_without_a_credential(address: str, url: str, store_connection: Any) -> None:
    extra = {"door_url": "https://door.example.org", "base_path": "/pnfs/cta"}
    store_connection("cta_default", password="a-canary-token", extra=extra)

    assert link_of(CtaDownloadOperator(task_id="get", remote_path=address, local_path="x")) == url


def test_the_link_of_a_pattern_is_the_folder_before_it(store_connection: Any) -> None:
    store_connection("site", extra={"door_url": "https://site.example.org"})

    for path in ("cta://site@lst/DL3/2024*/*.fits", "cta://site@lst/DL3/*"):
        assert link_of(CtaPathSensor(task_id="wait", path=path)) == "https://site.example.org/lst/DL3/"
    assert link_of(CtaPathSensor(task_id="wait", path="cta://site@*/x")) == "https://site.example.org/"


@pytest.mark.parametrize("address", ["cta://there_is_none@lst/a", "cta://lst/../a", "cta://broken@lst/a"])
def test_there_is_no_link_where_address_or_connection_cannot_be_used(address: str, store_connection: Any) -> None:
    store_connection("broken", extra="{")

    assert link_of(CtaDownloadOperator(task_id="get", remote_path=address, local_path="x")) == ""


def test_the_link_at_the_services_is_quoted_as_they_need_it() -> None:
    config = Config.from_mapping({"service_url": "https://host.example.org/services/downloadservice/"})

    assert url_of(config, uri.parse("lst/a b")) == "https://host.example.org/services/downloadservice/fetch/lst/a%2520b"
    assert url_of(config, uri.parse("lst/")) == "https://host.example.org/services/downloadservice/list/lst"


def test_airflow_writes_the_link_down_with_the_dag() -> None:
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("linked", schedule=None) as dag:
        CtaDownloadOperator(task_id="get", remote_path="lst/a.fits", local_path="x")
        CtaPathSensor.partial(task_id="wait").expand(path=["lst/b"])
    tasks = DagSerialization.to_dict(dag)["dag"]["tasks"]

    assert [task["__var"]["_operator_extra_links"] for task in tasks] == [{"At the door": "_link_CtaDoorLink"}] * 2
