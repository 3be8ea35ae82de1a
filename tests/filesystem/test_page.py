"""Every block of code of docs/fsspec.md is run on a FakeCta; what each library fetches for it is counted."""

import io
import os
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from ctadata_providers.config import config_file
from ctadata_providers.filesystem import CtaFileSystem
from ctadata_providers.testing import FakeCta
from ctadata_providers.testing.requestlog import fingerprint
from tests.canaries import Canaries

PAGE = (Path(__file__).parents[2] / "docs" / "fsspec.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^##? ([^\n]+)\n(?:(?!^##? ).)*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))
ALICE = "/lst/users/alice"
NIGHT = "/lst/DL3/20241114"
DL1 = "/lst/DL1/20241114/dl1_LST-1.Run19681.h5"
ROWS = 100_000
"""Events of each file of a folder."""


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """What the page reads, by path."""
    import numpy as np
    import pandas as pd
    import xarray as xr
    from astropy.io import fits
    from astropy.table import Table

    random = np.random.default_rng(1)
    images = {"COUNTS": (512, 512), "BACKGROUND": (512, 512), "EXPOSURE": (1024, 1024)}
    hdus = [fits.ImageHDU(random.random(shape, dtype="f4"), name=name) for name, shape in images.items()]
    maps = io.BytesIO()
    times = fits.BinTableHDU(Table({"START": [0.0, 900.0], "STOP": [800.0, 1700.0]}), name="GTI")
    fits.HDUList([fits.PrimaryHDU(), *hdus, times]).writeto(maps)
    events = {}
    for run in (19681, 19682):
        columns = {name: random.random(ROWS) * 20 for name in ("energy", "theta", "phi")}
        events[f"{ALICE}/events/{run}.parquet"] = pd.DataFrame(columns).to_parquet()
    cube = xr.Dataset({"flux": (("time", "energy"), random.random((100, 50)))}).to_netcdf(engine="h5netcdf")
    return {
        f"{NIGHT}/maps.fits": maps.getvalue(),
        DL1: dl1_file(),
        f"{ALICE}/runs.csv": b"run,hours\n19681,0.2\n19682,0.4\n",
        f"{ALICE}/cube.nc": bytes(cube),
        **events,
    }


def dl1_file(images: int = 300) -> bytes:
    """Return an HDF5 file with the images and parameters of two telescopes."""
    import h5py
    import numpy as np

    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        for telescope in (1, 2):
            group = file.create_group(f"dl1/event/telescope/tel_{telescope:03d}")
            group.create_dataset("image", data=np.ones((images, 1855), "f4"), chunks=(32, 1855))
            for name in ("time", "intensity", "length", "width", "x", "y", "phi", "psi"):
                group.create_dataset(name, data=np.ones(5000))
    return made.getvalue()


@pytest.fixture
def cta(
    fake_cta: FakeCta,
    cta_environ: object,
    files: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FakeCta]:
    """A data centre with the files of the page, which the environment leads to."""
    for path, data in files.items():
        fake_cta.put(path, data)
    monkeypatch.chdir(tmp_path)
    CtaFileSystem.clear_instance_cache()
    yield fake_cta
    CtaFileSystem.clear_instance_cache()


def run(heading: str) -> dict[str, Any]:
    """Run the block of code below a heading, and return its names."""
    names: dict[str, Any] = {}
    exec(BLOCKS[heading], names)
    return names


def fetched(cta: FakeCta, path: str) -> int:
    """Return the bytes of a file that were asked for since the log was cleared."""
    size, total = len(cta.get(path)), 0
    for request in cta.requests:
        if (request.server, request.method, request.path) == ("pool", "GET", path):
            spans = re.findall(r"(\d+)-(\d+)", request.headers.get("range", f"0-{size - 1}"))
            total += sum(int(last) + 1 - int(first) for first, last in spans)

    assert total > 0
    return total


def test_every_block_of_code_is_tried_here() -> None:
    tried = {name for check in list(globals().values()) for name in re.findall(r'run\("([^"]+)"\)', _source(check))}

    assert PAGE.count("```python\n") == len(BLOCKS) == PAGE.count("```") // 2
    assert tried == set(BLOCKS)


def _source(check: object) -> str:
    code = getattr(check, "__code__", None)
    names = [] if code is None or not code.co_name.startswith("test_") else code.co_consts
    return " ".join(f'run("{name}")' for name in names if isinstance(name, str) and name in BLOCKS)


def test_the_first_example_runs(cta: FakeCta) -> None:
    names = run("Files in pandas, astropy and the like")

    assert names["header"] == "run,hours\n"
    assert names["names"] == [f"{NIGHT}/maps.fits"]
    assert names["found"] == [DL1]
    assert names["size"] == len(cta.get(f"{NIGHT}/maps.fits"))


def test_astropy_reads_one_hdu_by_ranges(cta: FakeCta) -> None:
    names = run("astropy")

    assert names["counts"].shape == (512, 512)
    assert names["corner"].shape == (8, 8)
    assert list(names["good"]["STOP"]) == [800.0, 1700.0]
    # 1 MiB of counts; of the others a block with each header, one with the corner; all headers once more for the table.
    assert fetched(cta, f"{NIGHT}/maps.fits") < 2**20 + 10 * 2**17
    assert len(cta.get(f"{NIGHT}/maps.fits")) > 6 * 2**20


def test_h5py_lists_names_with_less_than_a_tenth_of_the_bytes(cta: FakeCta) -> None:
    import h5py

    names: list[str] = []
    cta.put(DL1, dl1_file(images=1500))
    with fsspec.open(f"cta:/{DL1}") as file, h5py.File(file) as h5:
        h5.visit(names.append)

    assert len(names) == 3 + 2 * 10
    assert fetched(cta, DL1) < len(cta.get(DL1)) / 10


def test_h5py_reads_a_dataset(cta: FakeCta) -> None:
    names = run("h5py, PyTables, ctapipe")

    assert names["tables"] == ["tel_001", "tel_002"]
    assert names["first"].shape == (32, 1855)
    assert fetched(cta, DL1) < len(cta.get(DL1)) / 2


def test_pandas_reads_and_stores_tables(cta: FakeCta) -> None:
    names = run("pandas")

    assert cta.get(f"{ALICE}/long.csv") == b"run,hours\n19682,0.4\n"
    assert len(names["events"]) == 2 * ROWS


def test_pyarrow_reads_a_column_of_a_folder(cta: FakeCta) -> None:
    names = run("pyarrow")

    assert 0.45 < names["hard"].num_rows / (2 * ROWS) < 0.55
    # Besides the column there is the end of the file, twice in the file of which the schema is taken.
    first = f"{ALICE}/events/19681.parquet"
    assert fetched(cta, first) < len(cta.get(first)) * 0.5


def test_the_workers_of_dask_find_their_tokens(cta: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    import dask.dataframe as dd
    from cloudpickle import dumps

    here, there = cta.token, cta.make_token()
    path = f"cta:/{ALICE}/events/*.parquet"
    pickled = dumps(dict(dd.read_parquet(path).dask))  # here the token has been found by now
    monkeypatch.setenv("BEARER_TOKEN", there)
    names = run("Dask")
    sent = {request.headers["authorization"] for request in cta.requests if request.server == "door"}

    assert 9 < names["mean"] < 11
    assert sent == {f"Bearer {fingerprint(token)}" for token in (here, there)}
    assert b"ctadata_providers" in pickled
    assert not Canaries(here, there).in_bytes(pickled)


def test_xarray_reads_a_part_of_a_cube(cta: FakeCta) -> None:
    assert run("xarray")["spectrum"].shape == (50,)


def test_paths_work_like_those_of_pathlib(cta: FakeCta) -> None:
    names = run("universal_pathlib")

    assert names["begin"].startswith(b"SIMPLE  =")
    assert cta.get(f"{ALICE}/notes.txt") == b"dark night"


@pytest.mark.filterwarnings("ignore:unclosed file .* name='kept/:ResourceWarning")  # fsspec itself, before 2026.9
def test_a_local_copy_is_fetched_once(cta: FakeCta) -> None:
    names = run("A local copy")
    cta.clear_requests()
    again = run("A local copy")

    assert names["runs"] == again["runs"] == cta.get(f"{ALICE}/runs.csv")
    assert Path(names["local"]).read_bytes() == cta.get(DL1)
    assert {(request.server, request.method) for request in cta.requests} == {("door", "PROPFIND")}


def test_storage_options_are_settings(cta: FakeCta) -> None:
    profile = f'[profiles.site]\ndoor_url = "{cta.door_url}"\nca_path = "{cta.ca_file}"\n'
    config_file(os.environ).parent.mkdir()
    config_file(os.environ).write_text(profile)
    names = run("Settings")

    assert list(names["runs"].run) == [19681, 19682]
    assert (names["fs"].client.config.retries, names["fs"].client.config.max_parallel) == (2, 8)


def test_ranges_are_read(cta: FakeCta) -> None:
    names = run("Ranges and caches")
    data = cta.get(DL1)

    assert names["magic"] == b"\x89HDF\r\n\x1a\n"
    assert names["parts"] == [data[start : start + 10] for start in range(0, 100_000, 1000)]


def test_a_transaction_stores_its_files(cta: FakeCta) -> None:
    run("Writing")

    assert cta.get(f"{ALICE}/done/19682.txt") == b"analysed"


@pytest.mark.parametrize("make", [lambda fs: fs, lambda fs: fs.open(f"{ALICE}/runs.csv")], ids=["system", "open file"])
def test_what_is_pickled_after_use_holds_no_secret(cta: FakeCta, make: Callable[[CtaFileSystem], Any]) -> None:
    fs = fsspec.filesystem("cta")
    fs.cat(f"{ALICE}/runs.csv")
    pickled = pickle.dumps(make(fs))

    assert not Canaries(cta.token).in_bytes(pickled)
    assert pickle.loads(pickled) is not None
