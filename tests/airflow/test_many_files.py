"""Operators on lists and patterns, and what they do with what is missing."""

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from airflow_provider_cta.operators.cta import CtaCopyOperator, CtaListOperator, CtaRemoveOperator, CtaSyncOperator

from ctadata_providers import AlreadyExistsError, ConfigError, IntegrityError, IsADirError, NotFoundError, StorageError
from tests.airflow.operated import download, run, upload


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def night(cta_default: Any) -> Any:
    """A data centre with a night of three runs."""
    for number in range(3):
        cta_default.put(f"/lst/night/run{number}.fits", b"x" * (number + 1))
    cta_default.put("/lst/night/deep/log.txt", b"log")
    return cta_default


# Downloads


def test_a_list_is_downloaded_into_a_folder_in_its_order(night: Any, tmp_path: Path) -> None:
    results = download(["lst/night/run2.fits", "cta://lst/night/run0.fits"], f"{tmp_path}/")

    assert [result["uri"] for result in results] == ["cta://lst/night/run2.fits", "cta://lst/night/run0.fits"]
    assert [result["size"] for result in results] == [3, 1]
    assert names(tmp_path) == ["run0.fits", "run2.fits"]


def test_a_pattern_gives_a_list_of_files(night: Any, tmp_path: Path) -> None:
    assert len(download("cta://lst/night/*", f"{tmp_path}/")) == 3
    assert names(tmp_path) == ["run0.fits", "run1.fits", "run2.fits"]


def test_a_list_of_many_costs_one_listing_and_a_get_each(night: Any, tmp_path: Path) -> None:
    paths = [f"lst/night/many{number}" for number in range(20)]
    for path in paths:
        night.put(f"/{path}", b"x")
    night.clear_requests()
    download(paths, f"{tmp_path}/")
    asked = [request.method for request in night.requests if request.server == "door"]

    assert asked.count("PROPFIND") == 1
    assert asked.count("GET") == 20


def test_each_source_can_have_its_target(night: Any, tmp_path: Path) -> None:
    download(["lst/night/run0.fits", "lst/night/run1.fits"], [tmp_path / "a", f"{tmp_path}/deep/"])

    assert names(tmp_path) == ["a", "deep/run1.fits"]


@pytest.mark.parametrize(
    ("remote", "local", "message"),
    [
        (["lst/night/run0.fits", "lst/night/run1.fits"], "{}/one", "folder"),
        ("lst/night/*", "{}/one", "folder"),
        (["lst/night/run0.fits"], ["{}/a", "{}/b"], "one for each"),
        (["lst/night/*"], ["{}/a"], "one for each"),
        (["lst/night/run0.fits", "lst/other/run0.fits"], "{}/", "both"),
        (["lst/night/run0.fits", "cta://other@lst/a"], "{}/", "several connections"),
        (["lst/night/run0.fits", "lst//night/run0.fits"], "{}/", "not a usable address"),
        (["lst/night/run0.fits", "lst/night/run1.fits"], ["{}/a", "{}//a"], "both"),
        ("lst/night/run0.fits", None, "local_path"),
        ("lst/night/run0.fits", ["{}/a", "{}/b"], "local_path has 2"),
        ([7], "{}/", "remote_path"),
        ([""], "{}/", "remote_path"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_written(
    remote: Any, local: Any, message: str, night: Any, tmp_path: Path
) -> None:
    night.put("/lst/other/run0.fits", b"x")
    place = [one.format(tmp_path) for one in local] if isinstance(local, list) else local and local.format(tmp_path)
    with pytest.raises(ConfigError, match=message):
        download(remote, place)

    assert names(tmp_path) == []


def test_a_folder_among_several_is_told_and_not_passed_over(night: Any, tmp_path: Path) -> None:
    for paths in (["lst/night/deep/", "lst/night/run0.fits"], ["lst/night/run0.fits", "lst/night/deep"]):
        with pytest.raises(IsADirError, match="deep is a folder"):
            download(paths, f"{tmp_path}/")
    with pytest.raises(NotFoundError, match=r"such as lst/\*; .*takes files only"):
        download("lst/*", f"{tmp_path}/")

    assert names(tmp_path) == []


def test_of_nothing_nothing_is_made(cta_default: Any, tmp_path: Path) -> None:
    assert download([], tmp_path / "a") == []
    assert download([], []) == []
    assert run(CtaCopyOperator(task_id="copy", source=[], target="lst/x")) == []
    assert run(CtaCopyOperator(task_id="copy", source=[], target="lst/x", deferrable=True)) == []
    with pytest.raises(AirflowSkipException):
        download([], tmp_path / "a", on_missing="skip")


def test_of_a_list_all_must_be_there_unless_told_otherwise(night: Any, tmp_path: Path) -> None:
    paths = ["lst/night/run0.fits", "lst/night/nothing", "lst/nowhere/*"]
    with pytest.raises(NotFoundError, match="2 of 3 are not there, such as lst/night/nothing"):
        download(paths, f"{tmp_path}/")
    assert names(tmp_path) == []

    assert [result["uri"] for result in download(paths, f"{tmp_path}/", on_missing="skip")] == [
        "cta://lst/night/run0.fits"
    ]


@pytest.mark.parametrize("path", ["lst/night/nothing", "lst/nothing/", ["lst/night/nothing"], "lst/night/*.h5"])
def test_a_task_without_anything_to_get_is_skipped_when_told_so(path: Any, night: Any, tmp_path: Path) -> None:
    with pytest.raises(AirflowSkipException, match=r"^(nothing of that is|.* is not) there$"):
        download(path, f"{tmp_path}/", on_missing="skip")
    with pytest.raises(NotFoundError):
        download(path, f"{tmp_path}/")


@pytest.mark.parametrize("make", [lambda **s: download("lst/a", "/a", **s), lambda **s: upload("/a", "lst/a", **s)])
def test_another_word_for_what_is_missing_is_told(make: Any, night: Any) -> None:
    with pytest.raises(ConfigError, match="on_missing"):
        make(on_missing="ignore")


def test_the_checksum_mode_of_a_task_wins_over_that_of_its_connection(night: Any, tmp_path: Path) -> None:
    with night.fault("wrong-digest"):
        with pytest.raises(IntegrityError):
            download("lst/night/run0.fits", tmp_path / "a", checksum="require")
        assert download("lst/night/run0.fits", tmp_path / "a", checksum="off")["size"] == 1


def test_the_first_error_of_a_list_ends_the_task(night: Any, tmp_path: Path) -> None:
    (tmp_path / "run1.fits").write_bytes(b"old")
    with pytest.raises(AlreadyExistsError):
        download("lst/night/run*", f"{tmp_path}/", overwrite=False)

    assert (tmp_path / "run1.fits").read_bytes() == b"old"


# Uploads


def test_a_list_is_uploaded_into_a_folder(cta_default: Any, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    results = upload([tmp_path / "a", str(tmp_path / "b")], "cta://lst/users/alice/")

    assert [result["uri"] for result in results] == ["cta://lst/users/alice/a", "cta://lst/users/alice/b"]
    assert cta_default.paths() == ["/lst/users/alice/a", "/lst/users/alice/b"]


def test_uploads_have_targets_of_their_own(cta_default: Any, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    upload([tmp_path / "a", tmp_path / "b"], ["lst/x", "lst/y/"])

    assert cta_default.paths() == ["/lst/x", "/lst/y/b"]


@pytest.mark.parametrize(
    ("local", "remote", "message"),
    [
        (["a", "b"], "lst/one", "folder"),
        (["a"], ["lst/x", "lst/y"], "one for each"),
        ("a", ["lst/x", "lst/y"], "remote_path has 2"),
        (["a", "a"], "lst/", "same name"),
    ],
)
def test_uploads_that_do_not_fit_are_told_before_anything_is_sent(
    local: Any, remote: Any, message: str, cta_default: Any, tmp_path: Path
) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    with pytest.raises(ConfigError, match=message):
        upload([tmp_path / name for name in local] if isinstance(local, list) else tmp_path / local, remote)

    assert cta_default.requests == []


def test_missing_local_files_are_left_out_when_told_so(cta_default: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")

    assert len(upload([tmp_path / "a", tmp_path / "no"], "lst/", on_missing="skip")) == 1
    for nothing in (tmp_path / "no", [tmp_path / "no"]):
        with pytest.raises(AirflowSkipException):
            upload(nothing, "lst/", on_missing="skip")
        with pytest.raises(NotFoundError):
            upload(nothing, "lst/")


# Lists


def test_a_folder_is_listed(night: Any) -> None:
    assert run(CtaListOperator(task_id="ls", path="lst/night")) == [
        "cta://lst/night/deep/",
        "cta://lst/night/run0.fits",
        "cta://lst/night/run1.fits",
        "cta://lst/night/run2.fits",
    ]
    assert len(run(CtaListOperator(task_id="ls", path="lst/night", files_only=True))) == 3


def test_what_was_handled_is_left_out(night: Any) -> None:
    handled = ["cta://lst/night/run0.fits", "lst/night/run1.fits"]

    assert run(CtaListOperator(task_id="ls", path="lst/night/*.fits", exclude=handled)) == ["cta://lst/night/run2.fits"]
    assert run(CtaListOperator(task_id="ls", path="lst/night/**", exclude="lst/night/*[02].fits", files_only=True)) == [
        "cta://lst/night/run1.fits",
        "cta://lst/night/deep/log.txt",
    ]


def test_several_patterns_are_listed_each_file_once(night: Any) -> None:
    listed = run(CtaListOperator(task_id="ls", path=["lst/night/*0*", "lst/night/run[01]*", "lst/night/deep/log.txt"]))

    assert [uri.rsplit("/", 1)[1] for uri in listed] == ["run0.fits", "run1.fits", "log.txt"]


def test_a_listing_can_tell_all(night: Any) -> None:
    (told,) = run(CtaListOperator(task_id="ls", path="lst/night/run2.fits", metadata=True))

    assert (told["uri"], told["size"]) == ("cta://lst/night/run2.fits", 3)


def test_a_listing_of_nothing_new_skips_when_told_so(night: Any) -> None:
    nothing: Any = {"path": "lst/night/*.fits", "exclude": ["lst/night/run?.fits"]}

    assert run(CtaListOperator(task_id="ls", **nothing)) == []
    with pytest.raises(AirflowSkipException):
        run(CtaListOperator(task_id="ls", **nothing, on_missing="skip"))
    with pytest.raises(AirflowSkipException):
        run(CtaListOperator(task_id="ls", path="lst/no/such/", on_missing="skip"))
    with pytest.raises(NotFoundError):
        run(CtaListOperator(task_id="ls", path="lst/no/such/"))


# Removal


def remove(path: Any, **settings: Any) -> Any:
    return run(CtaRemoveOperator(task_id="rm", path=path, **settings))


def test_files_are_removed_and_patterns_where_they_are_asked_for(night: Any) -> None:
    assert remove(["lst/night/run0.fits", "lst/night/*2*", "lst/gone"], glob=True) == [
        "cta://lst/night/run0.fits",
        "cta://lst/night/run2.fits",
    ]
    assert night.paths() == ["/lst/night/deep/log.txt", "/lst/night/run1.fits"]


def test_a_name_is_never_a_pattern_also_when_it_is_gone(night: Any, capsys: pytest.CaptureFixture[str]) -> None:
    night.put("/lst/night/run[1].fits", b"odd")
    tries = [remove(["lst/night/run[1].fits", "lst/*/run?.fits"]) for _ in range(2)]

    assert tries == [["cta://lst/night/run[1].fits"], []]
    assert len(night.paths()) == 4
    assert capsys.readouterr().out.count("glob=True") == 3, "that it removes nothing is told for each such name"
    with pytest.raises(NotFoundError, match=r"run\*"):
        remove("lst/night/run*", on_missing="fail")


def test_a_pattern_that_is_also_a_name_removes_nothing(night: Any) -> None:
    """Tried again, it would else be the one, and then the other."""
    night.put("/lst/night/run[1].fits", b"odd")
    for path in ("lst/night/run[1].fits", ["lst/night/run2.fits", "lst/night/run[1].fits"]):
        with pytest.raises(ConfigError, match=r"run\[1\]\.fits is also the name"):
            remove(path, glob=True)

    assert len(night.paths()) == 5


def test_a_folder_is_removed_with_what_it_holds_only_when_told_so(night: Any) -> None:
    with pytest.raises(StorageError):
        remove("lst/night")
    assert remove("lst/night/", recursive=True) == ["cta://lst/night/"]
    assert night.paths() == []


def test_what_is_not_there_is_an_error_when_told_so(night: Any) -> None:
    with pytest.raises(NotFoundError, match="lst/gone"):
        remove("lst/gone", on_missing="fail")


# Sync


def test_a_folder_is_made_like_another(night: Any, tmp_path: Path) -> None:
    settings: Any = {"task_id": "sync", "source": "cta://lst/night/", "target": tmp_path}

    assert run(CtaSyncOperator(**settings)) == {"copied": 4, "unchanged": 0, "removed": 0, "size": 9}
    (tmp_path / "extra").write_text("x")
    (tmp_path / "run0.fits").write_text("changed")
    assert run(CtaSyncOperator(**settings, delete=True)) == {"copied": 1, "unchanged": 3, "removed": 1, "size": 1}


def test_a_change_of_the_same_size_is_found_by_checksum(cta_default: Any, tmp_path: Path) -> None:
    cta_default.put("/lst/night/a", b"new")
    (tmp_path / "a").write_bytes(b"old")

    assert run(CtaSyncOperator(task_id="sync", source="cta://lst/night/", target=tmp_path))["copied"] == 1


def test_a_manifest_is_work_for_other_tasks(night: Any, tmp_path: Path) -> None:
    plan = run(
        CtaSyncOperator(task_id="plan", source="cta://lst/night/", target=str(tmp_path), manifest=True, chunk_size=3)
    )

    assert [len(chunk["remote_path"]) for chunk in plan] == [3, 1]
    assert names(tmp_path) == []
    for chunk in plan:
        download(**chunk)
    assert names(tmp_path) == ["deep/log.txt", "run0.fits", "run1.fits", "run2.fits"]
    assert run(CtaSyncOperator(task_id="plan", source="cta://lst/night/", target=str(tmp_path), manifest=True)) == []


@pytest.mark.parametrize("root", ["cta:///", "cta://", "cta://cta_default@", "cta://cta_default@/"])
def test_a_manifest_of_the_root(root: str, cta_default: Any, tmp_path: Path) -> None:
    cta_default.put("/a@b/run0.fits", b"x")
    (chunk,) = run(CtaSyncOperator(task_id="plan", source=root, target=str(tmp_path), manifest=True))
    download(**chunk)

    assert names(tmp_path) == ["a@b/run0.fits"]


def test_a_manifest_of_uploads(cta_default: Any, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_text("a")
    (chunk,) = run(CtaSyncOperator(task_id="plan", source=str(tmp_path), target="cta://lst/users/", manifest=True))
    upload(**chunk)

    assert cta_default.paths() == ["/lst/users/deep/a"]


@pytest.mark.parametrize(
    "settings", [{"chunk_size": 0}, {"manifest": True, "delete": True}, {"compare": "name"}, {"target": None}]
)
def test_a_sync_that_cannot_be_is_told(settings: dict[str, Any], night: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        run(CtaSyncOperator(**{"task_id": "sync", "source": "cta://lst/night/", "target": tmp_path, **settings}))
