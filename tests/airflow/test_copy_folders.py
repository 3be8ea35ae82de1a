"""Folders that the triggerer copies: however many files there are, little goes through Airflow's database."""

import asyncio
import json
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.module_loading import import_string
from airflow_provider_cta.operators.cta import CtaCopyOperator

from ctadata_providers import AlreadyExistsError, NotADirError
from ctadata_providers.testing import FakeCta

KILO = 1000


def copy_of_night(**settings: Any) -> CtaCopyOperator:
    return CtaCopyOperator(
        task_id="copy", source="lst/night/", target="cta://site@lst/new", deferrable=True, **settings
    )


def deferred(operator: CtaCopyOperator) -> tuple[str, str]:
    """Return the class of the trigger and its arguments as Airflow's database keeps them."""
    with pytest.raises(TaskDeferred) as raised:
        operator.execute({})
    name, arguments = raised.value.trigger.serialize()
    return name, json.dumps(arguments)


def fired(kept: tuple[str, str]) -> dict[str, Any]:
    """Run the trigger as a triggerer makes it, and return its event."""
    name, arguments = kept

    async def scene() -> Any:
        (event,) = [event async for event in import_string(name)(**json.loads(arguments)).run()]
        return json.loads(json.dumps(event.payload))

    result: dict[str, Any] = asyncio.run(asyncio.wait_for(scene(), 240))
    return result


def asked(cta: FakeCta, method: str) -> int:
    return len([request for request in cta.requests if request.server == "door" and request.method == method])


@pytest.mark.parametrize("many", [500, pytest.param(5000, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
def test_what_goes_through_the_database_does_not_grow_with_the_folder(
    many: int, site: FakeCta, cta_default: FakeCta
) -> None:
    """And a triggerer that goes on asks for what is there with a listing, and copies only what is not."""
    for number in range(many):
        path, data = f"/lst/night/{2 * number // many}/f{number:04}", b"%d" % number
        cta_default.put(path, data)
        if number % (many // 5):
            site.put(path.replace("/night/", "/new/"), data)
    site.put("/lst/new/0/f0001", b"2")  # as long, but not the same
    operator = copy_of_night()
    kept = deferred(operator)
    cta_default.clear_requests()
    event = fired(kept)
    result = operator.execute_complete({}, event)

    assert len("".join(kept)) < KILO
    assert len(json.dumps(event)) < KILO
    assert result["files"] == many
    assert result["size"] == sum(len(str(number)) for number in range(many))
    assert asked(site, "COPY") == 6, "five that were missing, one that was another"
    assert asked(cta_default, "PROPFIND") == 3
    assert site.get("/lst/new/0/f0001") == b"1"


@pytest.mark.parametrize("count", [3, 150])
def test_what_servers_refuse_a_worker_copies_however_much_it_is(
    count: int, site: FakeCta, cta_default: FakeCta
) -> None:
    for number in range(count):
        cta_default.put(f"/lst/night/f{number:03}", b"x")
    cta_default.make_dir("/lst/night/empty")
    operator = copy_of_night(overwrite=False)
    kept = deferred(operator)
    site.put("/lst/new/f002", b"x")
    with site.fault("failed-copy", refused=True), cta_default.fault("failed-copy", refused=True):
        event = fired(kept)
        result = operator.execute_complete({}, event)

    assert (event["left"] is None) == (count > 100), "many names stay out of the database"
    assert len(json.dumps(event)) < 10 * KILO
    assert result == {"uri": "cta://lst/new/", "source": "cta://lst/night/", "files": count, "size": count}
    assert site.paths() == [f"/lst/new/f{number:03}" for number in range(count)]


def test_another_file_in_the_place_of_one_is_told(site: FakeCta, cta_default: FakeCta) -> None:
    cta_default.put("/lst/night/a", b"new")
    site.put("/lst/new/a", b"old")
    operator = copy_of_night(overwrite=False)
    with pytest.raises(AlreadyExistsError):
        operator.execute_complete({}, fired(deferred(operator)))

    assert site.get("/lst/new/a") == b"old"


def test_a_file_where_a_folder_was_meant_is_told(site: FakeCta, cta_default: FakeCta) -> None:
    cta_default.put("/lst/night", b"a file")
    operator = CtaCopyOperator(
        task_id="copy", source="lst/night", target="cta://site@lst/new", recursive=True, deferrable=True
    )
    with pytest.raises(NotADirError):
        operator.execute_complete({}, fired(deferred(operator)))
