"""Operators against a data centre, without a metadata database."""

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from airflow_provider_cta.operators.cta import CtaDownloadOperator, CtaSyncOperator, CtaUploadOperator

from ctadata_providers import (
    AlreadyExistsError,
    ConfigError,
    CredentialError,
    CtaError,
    IsADirError,
    NotFoundError,
    PermissionDeniedError,
    TransientError,
)

DATA = b"SIMPLE  =                    T" * 1000
ADLER32 = f"{zlib.adler32(DATA):08x}"


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def download(remote_path: str, local_path: Path | str, **settings: Any) -> dict[str, Any]:
    operator = CtaDownloadOperator(task_id="get", remote_path=remote_path, local_path=local_path, **settings)
    result: dict[str, Any] = operator.execute({})
    return result


def upload(local_path: Path | str, remote_path: str, **settings: Any) -> dict[str, Any]:
    operator = CtaUploadOperator(task_id="put", remote_path=remote_path, local_path=local_path, **settings)
    result: dict[str, Any] = operator.execute({})
    return result


def test_download_of_a_file_gives_the_file_and_a_plain_result(cta_default: Any, tmp_path: Path) -> None:
    cta_default.put("/lst/DL3/run 1#a.fits", DATA)
    target = tmp_path / "run.fits"
    result = download("cta://lst/DL3/run 1#a.fits", target)

    assert target.read_bytes() == DATA
    assert result == json.loads(json.dumps(result))
    assert result == {
        "uri": "cta://lst/DL3/run 1#a.fits",
        "local_path": str(target),
        "size": len(DATA),
        "checksums": {"adler32": ADLER32},
    }


def test_download_puts_a_file_into_a_target_with_a_trailing_slash(cta_default: Any, tmp_path: Path) -> None:
    cta_default.put("/lst/DL3/run.fits", DATA)
    result = download("lst/DL3/run.fits", f"{tmp_path}/in/")

    assert result["local_path"] == f"{tmp_path}/in/run.fits"
    assert files_below(tmp_path) == {"in/run.fits": DATA}


@pytest.mark.parametrize(("remote_path", "recursive"), [("cta://lst/DL3/", False), ("cta://lst/DL3", True)])
def test_download_of_a_folder_gives_all_below_it(
    remote_path: str, recursive: bool, cta_default: Any, tmp_path: Path
) -> None:
    cta_default.put("/lst/DL3/a.fits", DATA)
    cta_default.put("/lst/DL3/night/b.fits", b"b")
    result = download(remote_path, tmp_path / "in", recursive=recursive)

    assert files_below(tmp_path) == {"in/a.fits": DATA, "in/night/b.fits": b"b"}
    assert result == {
        "uri": "cta://lst/DL3/",
        "local_path": str(tmp_path / "in"),
        "files": 2,
        "size": len(DATA) + 1,
    }


def test_upload_of_a_file_makes_its_folders_and_gives_a_plain_result(cta_default: Any, tmp_path: Path) -> None:
    source = tmp_path / "plot.png"
    source.write_bytes(DATA)
    result = upload(source, "cta://lst/users/alice/plot.png")

    assert cta_default.get("/lst/users/alice/plot.png") == DATA
    assert result == json.loads(json.dumps(result))
    assert result == {
        "uri": "cta://lst/users/alice/plot.png",
        "local_path": str(source),
        "size": len(DATA),
        "checksums": {"adler32": ADLER32},
    }


def test_upload_puts_a_file_into_a_target_with_a_trailing_slash(cta_default: Any, tmp_path: Path) -> None:
    source = tmp_path / "plot.png"
    source.write_bytes(DATA)
    result = upload(source, "cta://lst/users/alice/")

    assert result["uri"] == "cta://lst/users/alice/plot.png"
    assert cta_default.paths() == ["/lst/users/alice/plot.png"]


@pytest.mark.parametrize(("slash", "recursive"), [("/", False), ("", True)])
def test_upload_of_a_folder_takes_all_below_it(slash: str, recursive: bool, cta_default: Any, tmp_path: Path) -> None:
    (tmp_path / "out" / "plots").mkdir(parents=True)
    (tmp_path / "out" / "table.ecsv").write_bytes(b"table")
    (tmp_path / "out" / "plots" / "a.png").write_bytes(b"a")
    result = upload(f"{tmp_path}/out{slash}", "cta://lst/users/alice/out", recursive=recursive)

    assert cta_default.paths() == ["/lst/users/alice/out/plots/a.png", "/lst/users/alice/out/table.ecsv"]
    assert result == {
        "uri": "cta://lst/users/alice/out/",
        "local_path": f"{tmp_path}/out{slash}",
        "files": 2,
        "size": 6,
    }


def test_the_connection_in_the_address_is_used(fake_cta: Any, store_connection: Any, tmp_path: Path) -> None:
    fake_cta.put("/lst/run.fits", DATA)
    settings = {"door_url": fake_cta.door_url, "ca_path": str(fake_cta.ca_file)}
    store_connection("robot", password=fake_cta.token, extra=settings)
    result = download("cta://robot@lst/run.fits", tmp_path / "run.fits", cta_conn_id="there_is_none")

    assert result["uri"] == "cta://lst/run.fits"


def test_existing_targets_are_kept_without_overwrite(cta_default: Any, tmp_path: Path) -> None:
    cta_default.put("/lst/run.fits", DATA)
    target = tmp_path / "run.fits"
    target.write_bytes(b"mine")

    with pytest.raises(AlreadyExistsError):
        download("lst/run.fits", target, overwrite=False)
    with pytest.raises(AlreadyExistsError):
        upload(target, "lst/run.fits", overwrite=False)
    assert (target.read_bytes(), cta_default.get("/lst/run.fits")) == (b"mine", DATA)


@pytest.mark.parametrize(
    ("remote_path", "error"),
    [
        ("cta://lst/missing.fits", NotFoundError),
        ("cta://lst/DL3", IsADirError),
        ("cta://lst/../secret", ConfigError),
        ("https://door.example.org/lst/run.fits", ConfigError),
    ],
)
def test_errors_pass_as_they_are_and_leave_nothing(
    remote_path: str, error: type[CtaError], cta_default: Any, tmp_path: Path
) -> None:
    cta_default.put("/lst/DL3/run.fits", DATA)

    with pytest.raises(error) as raised:
        download(remote_path, tmp_path / "run.fits")
    assert type(raised.value) is error
    assert files_below(tmp_path) == {}


def test_a_token_without_the_right_to_write_is_permission_denied(
    fake_cta: Any, store_connection: Any, tmp_path: Path
) -> None:
    reader = fake_cta.make_token(scope="storage.read:/")
    settings = {"door_url": fake_cta.door_url, "ca_path": str(fake_cta.ca_file)}
    store_connection("cta_default", password=reader, extra=settings)
    source = tmp_path / "plot.png"
    source.write_bytes(DATA)

    with pytest.raises(PermissionDeniedError):
        upload(source, "cta://lst/users/alice/plot.png")
    assert fake_cta.paths() == []


def test_an_expired_token_is_a_credential_error(fake_cta: Any, store_connection: Any, tmp_path: Path) -> None:
    settings = {"door_url": fake_cta.door_url, "ca_path": str(fake_cta.ca_file)}
    store_connection("cta_default", password=fake_cta.make_token(lifetime=-3600.0), extra=settings)

    with pytest.raises(CredentialError):
        download("cta://lst/run.fits", tmp_path / "run.fits")


def test_a_refused_connection_is_a_transient_error(store_connection: Any, tmp_path: Path) -> None:
    store_connection("cta_default", host="localhost", port=1, extra={"retries": 0})

    with pytest.raises(TransientError):
        download("cta://lst/run.fits", tmp_path / "run.fits")


@pytest.mark.parametrize("operator", [CtaDownloadOperator, CtaUploadOperator])
def test_paths_and_connection_are_templates(operator: Any) -> None:
    task = operator(
        task_id="move",
        remote_path="cta://lst/{{ night }}/",
        local_path="/data/{{ night }}/",
        cta_conn_id="cta_{{ site }}",
    )
    task.render_template_fields({"night": "20241114", "site": "cscs"})

    assert (task.remote_path, task.local_path, task.cta_conn_id) == (
        "cta://lst/20241114/",
        "/data/20241114/",
        "cta_cscs",
    )


def test_an_operator_is_made_without_its_connection_and_killed_before_it_runs() -> None:
    task = CtaDownloadOperator(task_id="get", remote_path="cta://lst/a", local_path="/data/", cta_conn_id="none")
    task.on_kill()

    assert task.overwrite


@pytest.mark.parametrize("make", [CtaDownloadOperator, CtaUploadOperator])
def test_a_path_object_is_a_template_like_a_text(make: Any, tmp_path: Path) -> None:
    given = tmp_path / "{{ run_id }}" / "run.fits"
    one = make(task_id="one", remote_path="lst/a", local_path=given)
    several = make(task_id="several", remote_path=["lst/a", "lst/b"], local_path=[given, "{{ run_id }}/b"])
    for operator in (one, several):
        operator.render_template_fields({"run_id": "manual"})

    assert one.local_path == f"{tmp_path}/manual/run.fits"
    assert several.local_path == [f"{tmp_path}/manual/run.fits", "manual/b"]


def test_a_path_object_of_a_sync_is_a_template_too() -> None:
    down = CtaSyncOperator(task_id="down", source="cta://lst/DL3/", target=Path("/data/{{ run_id }}"))
    up = CtaSyncOperator(task_id="up", source=Path("/data/{{ run_id }}"), target="cta://lst/up/")
    for operator in (down, up):
        operator.render_template_fields({"run_id": "manual"})  # type: ignore[typeddict-unknown-key]

    assert down.target == up.source == "/data/manual"
