"""`ObjectStoragePath("cta://name@...")`, and what of Airflow stands on it."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
from airflow.providers.common.io.operators.file_transfer import FileTransferOperator
from airflow.providers.common.io.xcom import backend as xcom
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io.store import _STORE_CACHE, attach
from airflow.sdk.serde import deserialize, serialize
from airflow_provider_cta.fs.cta import get_fs
from airflow_provider_cta.fs.system import ConnectionFileSystem

from ctadata_providers import ConfigError, CredentialError, NotFoundError
from ctadata_providers.testing import FakeCta
from tests.canaries import Canaries

DATA = b"0123456789" * 100_000


@pytest.fixture(autouse=True)
def new_stores() -> Iterator[None]:
    """Airflow keeps a file system for ever."""
    yield
    _STORE_CACHE.clear()
    ConnectionFileSystem.clear_instance_cache()


@pytest.fixture
def top(cta_default: FakeCta) -> ObjectStoragePath:
    cta_default.put("/lst/DL3/a.fits", DATA)
    return ObjectStoragePath("cta://cta_default@lst/DL3")


def test_a_path_is_what_a_path_of_airflow_is(top: ObjectStoragePath, cta_default: FakeCta) -> None:
    path = top / "new" / "b.txt"
    path.parent.mkdir(parents=True)
    path.write_text("dark night")
    with path.open("ab") as file:
        file.write(b", no moon")
    top.joinpath("c").write_bytes(b"c")
    top.joinpath("c").rename(top / "d")

    assert path.read_text() == "dark night, no moon"
    assert (path.exists(), path.is_file(), path.parent.is_dir(), (top / "c").exists()) == (True, True, True, False)
    assert path.stat().st_size == path.size() == 19
    assert sorted(each.name for each in top.iterdir()) == ["a.fits", "d", "new"]
    assert [each.name for each in top.glob("**/*.txt")] == ["b.txt"]
    assert {each.conn_id for each in [path.parent, *top.iterdir(), *top.rglob("*")]} == {"cta_default"}
    path.unlink()
    path.parent.rmdir()
    assert cta_default.paths() == ["/lst/DL3/a.fits", "/lst/DL3/d"]


@pytest.mark.parametrize("name", ["a b", "a#1", "a?b", "a?b=c", "50%41", "ü", "[1]"])
def test_names_are_literal(name: str, top: ObjectStoragePath, cta_default: FakeCta) -> None:
    path = top / name
    path.write_bytes(b"x")

    assert cta_default.get(f"/lst/DL3/{name}") == b"x"
    assert ObjectStoragePath(str(path)).read_bytes() == b"x"
    assert name in [each.name for each in top.iterdir()]


def test_a_path_travels_as_airflow_sends_it(top: ObjectStoragePath) -> None:
    arrived = deserialize(serialize(top / "a.fits"))

    assert isinstance(arrived, ObjectStoragePath)
    assert (arrived.conn_id, arrived.read_bytes()) == ("cta_default", DATA)


def test_of_a_file_that_is_looked_into_only_a_part_is_read(top: ObjectStoragePath, cta_default: FakeCta) -> None:
    with (top / "a.fits").open("rb") as file:
        file.seek(500_000)
        assert file.read(10) == b"0123456789"
    (asked,) = {request.headers["range"] for request in cta_default.requests if request.method == "GET"}

    assert asked == "bytes=393216-524287"


# The connection


def test_it_is_looked_up_at_each_use_and_not_before(fake_cta: FakeCta, store_connection: Any, as_logged: Any) -> None:
    path = ObjectStoragePath("cta://later@lst/a")
    extra = {"door_url": fake_cta.door_url, "ca_path": str(fake_cta.ca_file), "retries": 0}
    store_connection("later", password="a-refused-canary-token", extra=extra)
    with pytest.raises(CredentialError):
        path.exists()
    tokens = [fake_cta.make_token(lifetime=lifetime) for lifetime in (1000.0, 2000.0)]
    for token in tokens:
        store_connection("later", password=token, extra=extra)
        path.write_bytes(b"x")
        assert path.fs.client is path.fs.client
    used = {request.headers.get("authorization") for request in fake_cta.requests if request.method == "PUT"}

    assert as_logged(" ".join(["a-refused-canary-token", *tokens])) == "*** *** ***"
    assert len(used) == 2


def test_an_open_file_looks_it_up_once(
    top: ObjectStoragePath, cta_default: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_cta.hooks.cta import CtaHook

    looked: list[str] = []
    get = CtaHook.get_connection
    monkeypatch.setattr(CtaHook, "get_connection", lambda self, conn_id: looked.append(conn_id) or get(conn_id))
    with (top / "a.fits").open("rb", block_size=1000) as file:
        for _ in range(20):
            file.read(5000)

    assert looked == ["cta_default"]


def test_it_is_complete(fake_cta: FakeCta, store_connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cta.put("/lst/a", b"x")
    store_connection("bare", extra={"door_url": fake_cta.door_url, "ca_path": str(fake_cta.ca_file), "retries": 0})
    monkeypatch.setenv("BEARER_TOKEN", fake_cta.token)
    monkeypatch.setitem(fsspec.config.conf, "cta", {"token": fake_cta.token})

    with pytest.raises(CredentialError):
        ObjectStoragePath("cta://bare@lst/a").read_bytes()


def test_without_one_it_is_what_the_worker_has(fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cta.put("/lst/a", b"x")
    for name, value in fake_cta.environ().items():
        monkeypatch.setenv(name, value)
    path = ObjectStoragePath("cta://lst/a")

    assert path.exists()
    with path.open("rb") as file:
        assert file.read() == b"x"


def test_options_win_over_the_connection_and_an_unknown_one_is_told(cta_default: FakeCta) -> None:
    system = get_fs("cta_default", {"max_parallel": 3, "checksum": "off"})

    assert (system.client.config.max_parallel, system.client.config.checksum) == (3, "off")
    with pytest.raises(ConfigError, match="unknown setting"):
        get_fs("cta_default", {"colour": "red"})


def test_what_is_pickled_and_kept_holds_no_secret(top: ObjectStoragePath, cta_default: FakeCta) -> None:
    with_token = get_fs("cta_default", {"token": "an-explicit-canary-token"})
    systems = [top.fs, with_token]
    for system in systems:
        system.client.config  # noqa: B018 (it is looked up)
    texts = [repr(vars(system)) + repr(system.storage_options) + system.to_json() for system in systems]
    pickled = [pickle.dumps(system) for system in systems]

    assert pickle.loads(pickled[0]).ls("/lst/DL3", detail=False) == ["/lst/DL3/a.fits"]
    for secret in (cta_default.token, "an-explicit-canary-token"):
        assert not [text for text in texts if secret in text.replace(repr(with_token._settings), "")]
        assert not [data for data in pickled if secret.encode() in data]


def test_the_module_imports_nothing_heavy() -> None:
    code = (
        "import sys, airflow_provider_cta.fs.cta;"
        "print(sorted({'airflow', 'fsspec', 'requests', 'pycurl', 'ctadata_providers.client'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert told.stdout.strip() == "[]"


# What stands on it


def transfer(source: Any, target: Any, **settings: Any) -> None:
    FileTransferOperator(task_id="move", src=source, dst=target, **settings).execute({})


def test_files_are_transferred_up_down_across_and_inside(
    top: ObjectStoragePath, cta_default: FakeCta, tmp_path: Path
) -> None:
    down = tmp_path / "down.fits"
    transfer("cta://lst/DL3/a.fits", f"file://{down}", source_conn_id="cta_default")
    transfer(f"file://{down}", "cta://lst/up.fits", dest_conn_id="cta_default")
    transfer("cta://cta_default@lst/up.fits", "cta://cta_default@lst/inside.fits")
    attach("memory", fs=fsspec.filesystem("memory"))
    (top / "a.fits").copy(ObjectStoragePath("memory://bucket/across.fits"))

    assert down.read_bytes() == DATA
    assert cta_default.get("/lst/up.fits") == cta_default.get("/lst/inside.fits") == DATA
    assert fsspec.filesystem("memory").cat("/bucket/across.fits") == DATA
    with pytest.raises(ValueError, match="already exists"):
        transfer(f"file://{down}", "cta://lst/up.fits", dest_conn_id="cta_default")
    with pytest.raises(NotFoundError):
        transfer("cta://lst/none", f"file://{down}", source_conn_id="cta_default", overwrite=True)


@pytest.fixture
def xcoms_at_cta(cta_default: FakeCta, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Airflow's backend that keeps large results of tasks in an object storage."""
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", "cta://cta_default@lst/users/alice/xcom")
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD", "100")
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION", "gzip")
    kept = (xcom._get_base_path, xcom._get_threshold, xcom._get_compression)
    for each in kept:
        each.cache_clear()
    yield xcom.XComObjectStorageBackend
    for each in kept:
        each.cache_clear()


def test_large_results_of_tasks_are_kept_there(xcoms_at_cta: Any, cta_default: FakeCta) -> None:
    large, small = [{"uri": f"cta://lst/{number}", "size": number} for number in range(100)], {"size": 1}
    names = {"key": "return_value", "task_id": "t", "dag_id": "d", "run_id": "r"}
    stored = [xcoms_at_cta.serialize_value(value, **names) for value in (large, small)]
    (path,) = cta_default.paths()
    results = [SimpleNamespace(value=value) for value in stored]

    assert path.startswith("/lst/users/alice/xcom/d/r/t/")
    assert str(stored[0]).startswith("cta://cta_default@/lst/users/alice/xcom/")
    assert cta_default.get(path)[:2] == b"\x1f\x8b"
    assert [xcoms_at_cta.deserialize_value(result) for result in results] == [large, small]
    assert cta_default.token not in str(stored)
    xcoms_at_cta.purge(results[0])
    assert cta_default.paths() == []


@pytest.mark.real
def test_a_dag_keeps_its_large_results_there(cta_default: FakeCta, tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    backend = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
    environ = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__XCOM_BACKEND": backend,
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": "cta://cta_default@lst/users/alice/xcom",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "1000",
    }
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.airflow.large_results"]
    ran = subprocess.run(command, env=environ, cwd=root, capture_output=True, text=True, timeout=100, check=True)
    told = json.loads(ran.stdout.splitlines()[-1])
    (kept,) = cta_default.paths()

    assert told["state"] == "success"
    assert told["count"] == 10_000
    assert told["make"] == f"cta://cta_default@{kept}"
    assert cta_default.token not in ran.stdout + ran.stderr
    assert Canaries(cta_default.token).below(tmp_path) == []
