"""A whole DAG in this process: it works, and no secret is in anything it leaves behind."""

import contextlib
import logging
import secrets
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.canaries import Canaries, CommandLines

DATA = b"SIMPLE  =                    T" * 100


def left_behind(airflow_home: Path) -> str:
    """Return all that a run wrote: the metadata database as SQL, every other file as text."""
    texts: list[str] = []
    for path in sorted(airflow_home.rglob("*")):
        if path.suffix == ".db":
            with contextlib.closing(sqlite3.connect(path)) as database:
                texts.extend(database.iterdump())
        elif path.is_file() and ".db-" not in path.name:
            texts.append(path.read_text(errors="replace"))
    return "\n".join(texts)


def nightly(folder: Path) -> Any:
    """Return a DAG that waits, downloads what came, uploads a result, and has tasks that fail."""
    from airflow.sdk import DAG, task
    from airflow_provider_cta.hooks.cta import CtaHook
    from airflow_provider_cta.operators.cta import CtaDownloadOperator, CtaUploadOperator
    from airflow_provider_cta.sensors.cta import CtaPathSensor

    with DAG("nightly", schedule=None, params={"night": "20241114"}) as dag:
        wait = CtaPathSensor(task_id="wait", path="cta://lst/DL3/{{ params.night }}/*.fits", mode="reschedule")
        get = CtaDownloadOperator.partial(task_id="get", local_path=f"{folder}/in/").expand(remote_path=wait.output)

        @task
        def summarise(files: Any) -> str:
            target = folder / "summary.txt"
            target.write_text("".join(f"{file['uri']} {file['size']}\n" for file in files))
            return str(target)

        @task
        def look() -> list[str]:
            with CtaHook().client() as client:
                return [info.uri for info in client.list_dir("/lst/users")]

        summary = summarise(get.output)
        put = CtaUploadOperator(task_id="put", local_path=summary, remote_path="cta://lst/users/alice/")  # type: ignore[arg-type]
        put >> look()
        for name, path in {"refused": "cta://cta_refused@lst/a", "unusable": "cta://cta_unusable@lst/a"}.items():
            CtaDownloadOperator(task_id=name, remote_path=path, local_path=f"{folder}/")
        CtaDownloadOperator(task_id="missing", remote_path="cta://lst/missing", local_path=f"{folder}/")
        robot = CtaDownloadOperator(
            task_id="robot", remote_path="cta://cta_robot@lst/DL3/20241114/a.fits", local_path=f"{folder}/robot.fits"
        )
        robot >> CtaUploadOperator(
            task_id="forbidden", local_path=f"{folder}/robot.fits", remote_path="cta://cta_robot@forbidden/a.fits"
        )
        CtaDownloadOperator(task_id="stranger", remote_path="cta://cta_stranger@lst/a", local_path=f"{folder}/")
        move_between_storages(folder, after=wait)
    return dag


def move_between_storages(folder: Path, after: Any) -> None:
    """Add tasks that copy, give away, take in, and use paths; two of them fail."""
    from airflow.providers.common.io.operators.file_transfer import FileTransferOperator
    from airflow.sdk import ObjectStoragePath, task
    from airflow_provider_cta.operators.cta import CtaCopyOperator
    from airflow_provider_cta.transfers.cta_to_object_storage import CtaToObjectStorageOperator
    from airflow_provider_cta.transfers.object_storage_to_cta import ObjectStorageToCtaOperator

    night = "cta://lst/DL3/{{ params.night }}"
    copy = CtaCopyOperator.partial(task_id="copy", target="cta://cta_other@lst/copies/", deferrable=True).expand(
        source=[f"{night}/a.fits", f"{night}/b.fits"]
    )
    give = CtaToObjectStorageOperator(
        task_id="give", remote_path=f"{night}/*.fits", storage_path=f"file://{folder}/given/"
    )
    take = ObjectStorageToCtaOperator(
        task_id="take", storage_path=f"file://{folder}/given/*.fits", remote_path="cta://lst/taken/"
    )
    transfer = FileTransferOperator(
        task_id="transfer",
        src=ObjectStoragePath("cta://cta_default@lst/taken/a.fits"),
        dst=f"file://{folder}/moved.fits",
    )

    @task
    def use_path() -> ObjectStoragePath:
        path = ObjectStoragePath("cta://cta_default@lst/taken/a.fits")
        assert path.read_bytes() == DATA
        return path.parent

    @task
    def list_path(path: ObjectStoragePath) -> list[str]:
        return sorted(each.name for each in path.iterdir())

    after >> [copy, give]
    give >> take >> transfer
    used = use_path()
    take >> used
    list_path(used)  # type: ignore[arg-type]  # what a task returns
    CtaCopyOperator(task_id="copy_refused", source="cta://cta_refused@lst/a", target="cta://lst/b")
    FileTransferOperator(task_id="transfer_refused", src="cta://cta_refused@lst/a", dst=f"file://{folder}/refused")


@pytest.fixture
def canaries(cta_default: Any, store_connection: Any) -> Canaries:
    """Return the secrets of connections: of good and refused tokens and robots, and beside a setting that cannot be."""
    # Made here, not written here: the database holds the source of a DAG's file.
    refused, unusable, stranger = (secrets.token_hex(32) for _ in range(3))
    settings = {"door_url": cta_default.door_url, "ca_path": str(cta_default.ca_file), "retries": 0}
    store_connection("cta_refused", password=refused, extra=settings)
    store_connection("cta_other", password=cta_default.make_token(lifetime=1800.0), extra=settings)
    store_connection("cta_unusable", password=unusable, extra={**settings, "checksum": "perhaps"})
    cta_default.issuer.configure(scope="storage.read:/")
    robot = cta_default.oidc_settings("robot")
    store_connection("cta_robot", extra=robot)
    store_connection("cta_stranger", extra={**robot, "client_secret": stranger})
    return Canaries(cta_default.token, refused, unusable, stranger, str(robot["client_secret"]))


def test_a_dag_runs_and_leaves_no_secret_anywhere(
    cta_default: Any,
    canaries: Canaries,
    run_dag: Any,
    airflow_home: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for run in ("a", "b"):
        cta_default.put(f"/lst/DL3/20241114/{run}.fits", DATA)
    with caplog.at_level(logging.DEBUG), CommandLines(str(airflow_home)) as commands:
        finished = run_dag(nightly(tmp_path))
    states = {(task.task_id, task.map_index): str(task.state) for task in finished.get_task_instances()}
    out, err = capfd.readouterr()
    places = {"output": out + err, "logs": caplog.text, "home": left_behind(airflow_home)}

    assert states == {
        ("wait", -1): "success",
        ("get", 0): "success",
        ("get", 1): "success",
        ("summarise", -1): "success",
        ("put", -1): "success",
        ("look", -1): "success",
        ("refused", -1): "failed",
        ("unusable", -1): "failed",
        ("missing", -1): "failed",
        ("robot", -1): "success",
        ("forbidden", -1): "failed",
        ("stranger", -1): "failed",
        ("copy", 0): "success",
        ("copy", 1): "success",
        ("give", -1): "success",
        ("take", -1): "success",
        ("transfer", -1): "success",
        ("use_path", -1): "success",
        ("list_path", -1): "success",
        ("copy_refused", -1): "failed",
        ("transfer_refused", -1): "failed",
    }
    size = len(DATA)
    expected = f"cta://lst/DL3/20241114/a.fits {size}\ncta://lst/DL3/20241114/b.fits {size}\n"
    assert cta_default.get("/lst/users/alice/summary.txt").decode() == expected
    assert [path for path in cta_default.paths() if "copies" in path or "taken" in path] == [
        "/lst/copies/a.fits",
        "/lst/copies/b.fits",
        "/lst/taken/a.fits",
        "/lst/taken/b.fits",
    ]
    assert (tmp_path / "moved.fits").read_bytes() == DATA
    for place, text in places.items():
        # What is not secret is found there, so the search does see what a run leaves.
        assert "lst/DL3/20241114/a.fits" in text, place
        assert not canaries.in_text(text), place
    assert not [line for line in commands.seen if canaries.in_bytes(line)]
    assert canaries.below(tmp_path) == []
    assert "CredentialError" in places["output"]
    assert "ConfigError" in places["output"]
    assert "NotFoundError" in places["output"]


def night_copy(self: Any) -> None:
    """Write what the asset is that this function stands for."""
    from airflow.sdk import ObjectStoragePath

    ObjectStoragePath(self.uri.replace("//", "//cta_default@")).write_bytes(DATA)


def test_a_function_that_is_an_asset_has_the_canonical_name(
    cta_default: Any, run_dag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.sdk import ObjectStoragePath, asset
    from airflow.sdk.definitions._internal.contextmanager import DagContext
    from airflow.utils.session import create_session
    from sqlalchemy import select

    monkeypatch.setattr(DagContext, "current_autoregister_module_name", __name__)
    monkeypatch.setattr(DagContext, "autoregistered_dags", set())
    defined = asset(uri=ObjectStoragePath("cta://cta_default@lst/night/copy.fits"), schedule=None)(night_copy)
    ((dag, _),) = DagContext.autoregistered_dags
    finished = run_dag(dag)
    with create_session() as session:
        query = select(AssetModel.uri).join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
        query = query.where(AssetEvent.source_run_id == finished.run_id, AssetEvent.source_dag_id == finished.dag_id)
        told = set(session.scalars(query))

    assert str(finished.state) == "success"
    assert defined.uri == "cta://lst/night/copy.fits"
    assert told == {"cta://lst/night/copy.fits"}
    assert cta_default.get("/lst/night/copy.fits") == DATA
