"""The button of a task that leads to its file."""

import ssl
import urllib.request
from typing import Any

import pytest
from airflow_provider_cta.links.cta import CtaDoorLink
from airflow_provider_cta.operators.cta import CtaDownloadOperator
from airflow_provider_cta.sensors.cta import CtaPathSensor

from ctadata_providers.testing import FakeCta


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


def test_the_link_leads_to_the_services_where_the_connection_does(store_connection: Any) -> None:
    with FakeCta(services=True, bans=False) as cta:
        settings = {name: value for name, value in cta.service_settings().items() if name != "backend"}
        store_connection("cta_default", extra=settings)
        cta.put("/lst/a..b.fits", b"x")
        link = link_of(CtaDownloadOperator(task_id="get", remote_path="lst/a..b.fits", local_path="x"))
        folder = link_of(CtaPathSensor(task_id="wait", path="lst/*.fits"))
        asked = urllib.request.Request(link, headers={"Authorization": f"Bearer {cta.hub_token}"})
        trust = ssl.create_default_context(cafile=cta.ca_file)
        with urllib.request.urlopen(asked, context=trust) as answer:
            got = answer.read()

        assert got == b"x"
        assert link.startswith(f"{cta.service_url}fetch/lst/")
        assert folder == f"{cta.service_url}list/lst"


def test_airflow_writes_the_link_down_with_the_dag() -> None:
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("linked", schedule=None) as dag:
        CtaDownloadOperator(task_id="get", remote_path="lst/a.fits", local_path="x")
        CtaPathSensor.partial(task_id="wait").expand(path=["lst/b"])
    tasks = DagSerialization.to_dict(dag)["dag"]["tasks"]

    assert [task["__var"]["_operator_extra_links"] for task in tasks] == [{"At the door": "_link_CtaDoorLink"}] * 2
