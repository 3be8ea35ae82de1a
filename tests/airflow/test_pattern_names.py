"""Names that look like patterns, and patterns that match one file: what operators make of them."""

from pathlib import Path
from typing import Any

import pytest
from airflow_provider_cta.operators.cta import CtaCopyOperator, CtaListOperator, CtaSyncOperator
from airflow_provider_cta.transfers.cta_to_object_storage import CtaToObjectStorageOperator

from tests.airflow.operated import download, run


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_name_that_looks_like_a_pattern_is_a_name(cta_default: Any, tmp_path: Path) -> None:
    cta_default.put("/lst/run[1].fits", b"x")
    first = download("lst/run[1].fits", tmp_path / "a")
    download(["cta://lst/run[1].fits"], [tmp_path / "b"])
    (chunk,) = run(CtaSyncOperator(task_id="plan", source="cta://lst/", target=str(tmp_path / "c"), manifest=True))
    download(**chunk)

    assert first["local_path"] == str(tmp_path / "a")
    assert names(tmp_path) == ["a", "b", "c/run[1].fits"]


NAMES = {
    "lst/odd[1].fits": "of a name, as a listing has it",
    "lst/odd[[]1].fits": "with what stands for itself",
    "lst/a[?]b[*].fits": "twice",
}


@pytest.mark.parametrize("path", NAMES, ids=NAMES.values())
def test_what_names_one_file_gives_what_every_name_gives(path: str, cta_default: Any, tmp_path: Path) -> None:
    for name in ("odd[1].fits", "a?b*.fits", "odd1.fits"):
        cta_default.put(f"/lst/{name}", b"x")
    there = path.replace("[[]", "[").replace("[?]", "?").replace("[*]", "*").removeprefix("lst/")
    fetched = download(path, f"{tmp_path}/")
    again = download(path, tmp_path / "again")
    copied = run(CtaCopyOperator(task_id="copy", source=path, target="lst/copies/"))
    given = run(CtaToObjectStorageOperator(task_id="give", remote_path=path, storage_path=f"file://{tmp_path}/given"))

    assert [one["uri"] for one in (fetched, again, given)] == [f"cta://lst/{there}"] * 3
    assert (copied["source"], copied["uri"]) == (f"cta://lst/{there}", f"cta://lst/copies/{there}")
    assert names(tmp_path) == sorted(["again", "given", there])


@pytest.mark.parametrize("path", ["lst/odd[1].fits", "lst/[o]dd1.fits", "lst/odd?.fits", "lst/odd[[]*].fits"])
def test_a_pattern_gives_a_list_also_when_one_file_matches(path: str, cta_default: Any, tmp_path: Path) -> None:
    name = "odd[*].fits" if "*" in path else "odd1.fits"
    cta_default.put(f"/lst/{name}", b"x")

    assert [one["uri"] for one in download(path, f"{tmp_path}/")] == [f"cta://lst/{name}"]
    assert isinstance(run(CtaCopyOperator(task_id="copy", source=path, target="lst/copies/")), list)


def test_all_that_was_listed_can_be_mapped_over_whatever_it_is_called(cta_default: Any, tmp_path: Path) -> None:
    for name in ("a.fits", "odd[1].fits", "wh?t.fits"):
        cta_default.put(f"/lst/{name}", b"x")
    listed = run(CtaListOperator(task_id="list", path="lst/"))
    results = [download(path, f"{tmp_path}/") for path in listed]

    assert [result["uri"] for result in results] == listed
