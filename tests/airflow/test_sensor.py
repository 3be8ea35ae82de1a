"""The sensor against a data centre, without a metadata database."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSensorTimeout, AirflowSkipException
from airflow_provider_cta.sensors.cta import CtaPathSensor

from ctadata_providers import ConfigError, CredentialError, NotADirError


def sensor(path: str, **settings: Any) -> CtaPathSensor:
    return CtaPathSensor(task_id="wait", path=path, **settings)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("cta://lst/DL3/a.fits", ["cta://lst/DL3/a.fits"]),
        ("lst/DL3/a.fits", ["cta://lst/DL3/a.fits"]),
        ("cta://lst/DL3/", ["cta://lst/DL3/"]),
        ("cta://lst/DL3/*.fits", ["cta://lst/DL3/a.fits", "cta://lst/DL3/b.fits"]),
        ("cta://lst/**/[bc].fits", ["cta://lst/DL3/b.fits", "cta://lst/DL3/night/c.fits"]),
        ("cta://lst/*/night/", ["cta://lst/DL3/night/"]),
    ],
)
def test_what_is_there_ends_the_wait_and_is_handed_on(path: str, found: list[str], cta_default: Any) -> None:
    for path_there in ("DL3/a.fits", "DL3/b.fits", "DL3/night/c.fits", "DL4/night"):
        cta_default.put(f"/lst/{path_there}", b"x")
    result = sensor(path).poke({})

    assert result.is_done
    assert result.xcom_value == found == json.loads(json.dumps(result.xcom_value))


@pytest.mark.parametrize(
    "path", ["cta://lst/DL3/c.fits", "cta://lst/no/such/", "cta://lst/DL3/*.h5", "cta://lst/no/*.fits"]
)
def test_what_is_not_there_goes_on_waiting(path: str, cta_default: Any) -> None:
    cta_default.put("/lst/DL3/a.fits", b"x")

    assert not sensor(path).poke({})


def test_a_file_that_appears_ends_the_wait(cta_default: Any) -> None:
    task = sensor("cta://lst/a.fits")
    before = task.poke({})
    cta_default.put("/lst/a.fits", b"x")

    assert not before
    assert task.poke({})


def test_a_file_where_a_folder_was_awaited_is_an_error(cta_default: Any) -> None:
    cta_default.put("/lst/DL3", b"x")

    with pytest.raises(NotADirError, match="/lst/DL3"):
        sensor("cta://lst/DL3/").poke({})


def test_a_path_that_cannot_be_is_an_error_at_once(cta_default: Any) -> None:
    with pytest.raises(ConfigError):
        sensor("cta://lst/../DL3/*.fits").poke({})


def test_each_look_reads_the_connection_anew(fake_cta: Any, store_connection: Any) -> None:
    settings = {"door_url": fake_cta.door_url, "ca_path": str(fake_cta.ca_file)}
    task = sensor("cta://lst/a.fits")
    store_connection("cta_default", password=fake_cta.make_token(lifetime=-3600.0), extra=settings)
    with pytest.raises(CredentialError):
        task.poke({})
    store_connection("cta_default", password=fake_cta.token, extra=settings)

    assert not task.poke({})


def test_the_connection_in_the_address_is_used(fake_cta: Any, store_connection: Any) -> None:
    fake_cta.put("/lst/a.fits", b"x")
    settings = {"door_url": fake_cta.door_url, "ca_path": str(fake_cta.ca_file)}
    store_connection("robot", password=fake_cta.token, extra=settings)

    assert sensor("cta://robot@lst/*.fits", cta_conn_id="there_is_none").poke({}).xcom_value == ["cta://lst/a.fits"]


def test_poke_mode_returns_what_was_found(cta_default: Any) -> None:
    cta_default.put("/lst/a.fits", b"x")

    assert sensor("cta://lst/*").execute({}) == ["cta://lst/a.fits"]


def test_poke_mode_times_out(cta_default: Any) -> None:
    with pytest.raises(AirflowSensorTimeout):
        sensor("cta://lst/a.fits", timeout=0, poke_interval=0).execute({})
    with pytest.raises(AirflowSkipException):
        sensor("cta://lst/a.fits", timeout=0, poke_interval=0, soft_fail=True).execute({})


def test_reschedule_mode_frees_the_worker_until_the_next_look(cta_default: Any) -> None:
    task = sensor("cta://lst/a.fits", mode="reschedule", poke_interval=300)
    context: Any = {"ti": SimpleNamespace(get_first_reschedule_date=lambda context: None)}
    with pytest.raises(AirflowRescheduleException):
        task.execute(context)
    cta_default.put("/lst/a.fits", b"x")

    assert task.execute(context) == ["cta://lst/a.fits"]


def test_a_server_that_fails_for_a_while_is_asked_again(cta_default: Any, store_connection: Any) -> None:
    settings = {"door_url": cta_default.door_url, "ca_path": str(cta_default.ca_file), "retries": 0}
    store_connection("cta_default", password=cta_default.token, extra=settings)
    cta_default.put("/lst/a.fits", b"x")
    cta_default.faults.add("unavailable", method="PROPFIND", times=2)
    rescheduled = sensor("cta://lst/a.fits", mode="reschedule")
    context: Any = {"ti": SimpleNamespace(get_first_reschedule_date=lambda context: None)}
    with pytest.raises(AirflowRescheduleException):
        rescheduled.execute(context)

    assert sensor("cta://lst/a.fits", poke_interval=0).execute({}) == ["cta://lst/a.fits"]
    assert rescheduled.execute(context) == ["cta://lst/a.fits"]


def test_path_and_connection_are_templates() -> None:
    task = sensor("cta://lst/{{ night }}/*.fits", cta_conn_id="cta_{{ site }}")
    context: Any = {"night": "20241114", "site": "cscs"}
    task.render_template_fields(context)

    assert (task.path, task.cta_conn_id) == ("cta://lst/20241114/*.fits", "cta_cscs")
