"""Looking into files and folders: cat, head, tree, du."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.cli import looking, main
from ctadata_providers.testing import FakeCta

Run = Callable[..., Any]
"""The fixture `ctadata`: runs a command, gives its `code`, `out`, `err`, `lines`, `records`, `error`, `one_line`."""

CTADATA = [sys.executable, "-m", "ctadata_providers.cli"]
MEASURED = """
import sys
from ctadata_providers.cli import main
code = main()
status = dict(line.split(":") for line in open("/proc/self/status"))
print(status["VmHWM"].split()[0], file=sys.stderr)
sys.exit(code)
"""
BYTES = bytes(range(256)) * 20


@contextmanager
def started(*arguments: str, **options: Any) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a command as a process, which is gone afterwards."""
    process = subprocess.Popen([*CTADATA, *arguments], stderr=subprocess.PIPE, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def printed(cta_environ: object, capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., bytes]:
    """Run a command that succeeds, and return the bytes that it prints."""

    def run(*arguments: str) -> bytes:
        assert main(arguments) == 0
        return capfdbinary.readouterr().out

    return run


def test_cat_prints_the_bytes_as_they_are(printed: Callable[..., bytes], fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", BYTES)
    fake_cta.put("/lst/b", b"b\xff\r\n")

    assert printed("cat", "lst/a", "lst/b") == BYTES + b"b\xff\r\n"
    assert printed("cat", "lst/*") == BYTES + b"b\xff\r\n"
    assert printed("cat", "--json", "lst/b") == b"b\xff\r\n"


@pytest.mark.parametrize(
    ("given", "part"),
    [
        *(("0-0", slice(1)), ("3-9", slice(3, 10)), ("5000-", slice(5000, None)), ("-7", slice(-7, None))),
        *(("0-99999", slice(None)), ("-99999", slice(None)), ("5119-5119", slice(5119, None)), ("6000-", slice(0))),
    ],
)
def test_cat_prints_a_range_with_its_last_byte(
    given: str, part: slice, printed: Callable[..., bytes], fake_cta: FakeCta
) -> None:
    fake_cta.put("/lst/a", BYTES)

    assert printed("cat", "--range", given, "lst/a") == BYTES[part]
    assert printed("cat", "lst/a", f"--range={given}") == BYTES[part]


@pytest.mark.parametrize("given", ["", "-", "9-3", "x-y", "5", "0-1,4-5", "1--2"])
def test_what_is_no_range_is_wrong_usage(given: str, ctadata: Run, fake_cta: FakeCta) -> None:
    ran = ctadata("cat", f"--range={given}", "lst/a")

    assert ran.code == 2
    assert "is no range such as" in ran.one_line


def test_cat_goes_on_past_what_it_cannot_print(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("cat", "lst/DL3/none", "lst/DL3/a.fits", "lst/DL3/old", "lst/DL3/b.fits")
    missing, folder = ran.err.splitlines()

    assert (ran.code, ran.out) == (1, "aaaabb")
    assert "/lst/DL3/none" in missing
    assert "/lst/DL3/old is a folder" in folder


def test_cat_says_when_what_it_printed_is_not_the_file(ctadata: Run, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", b"text")
    fake_cta.faults.add("corrupt", path="/lst/a", method="GET", after=2)
    ran = ctadata("cat", "--json", "lst/a")

    assert ran.code == 1
    assert ran.error["error"] == "IntegrityError"
    assert "is not to be used" in ran.error["remedy"]


def test_cat_asks_for_no_more_than_the_range(ctadata: Run, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", bytes(5_000_000))
    fake_cta.clear_requests()
    ctadata("cat", "--range", "100-199", "lst/a")
    sent = [request.headers.get("range") for request in fake_cta.requests if request.method == "GET"]

    assert set(sent) == {"bytes=100-199"}


NUMBERS = b"".join(b"%d\n" % number for number in range(1000))


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        *(([], NUMBERS[:20]), (["-n", "2"], b"0\n1\n"), (["-n0"], b""), (["-c", "3"], b"0\n1")),
        *((["-c", "0"], b""), (["--lines=1"], b"0\n"), (["--bytes", "1k"], NUMBERS[:1024])),
    ],
)
def test_head_prints_the_first_lines_or_bytes(
    options: list[str], wanted: bytes, printed: Callable[..., bytes], fake_cta: FakeCta
) -> None:
    fake_cta.put("/lst/a", NUMBERS)

    assert printed("head", *options, "lst/a") == wanted


@pytest.mark.parametrize("content", [b"", b"no end of line", b"one\n", b"one\ntwo"])
def test_head_prints_all_of_a_file_with_fewer_lines(
    content: bytes, printed: Callable[..., bytes], fake_cta: FakeCta
) -> None:
    fake_cta.put("/lst/a", content)

    assert printed("head", "lst/a") == content


def test_head_asks_for_a_little_first_and_for_more_where_lines_are_long(
    ctadata: Run, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "FIRST_PIECE", 10)
    fake_cta.put("/lst/a", b"x" * 25 + b"\n" + b"y" * 99 + b"\n" + bytes(10_000))
    fake_cta.clear_requests()
    ran = ctadata("head", "-n1", "lst/a")
    ranges = {request.headers["range"] for request in fake_cta.requests if request.method == "GET"}

    assert ran.out == "x" * 25 + "\n"
    assert ranges == {"bytes=0-9", "bytes=10-29"}


def test_head_of_several_files_tells_which(ctadata: Run, night: FakeCta) -> None:
    text = "==> /lst/DL3/a.fits <==\naaaa\n==> /lst/DL3/b.fits <==\nbb"

    assert ctadata("head", "lst/DL3/a.fits", "lst/DL3/b.fits").out == text
    assert ctadata("head", "lst/DL3/[ab].fits").out == text
    assert ctadata("head", "-q", "lst/DL3/[ab].fits").out == "aaaabb"
    assert ctadata("head", "lst/DL3/[a].fits").out == "==> /lst/DL3/a.fits <==\naaaa"


@pytest.mark.parametrize("arguments", [["-n", "-1"], ["-n", "x"], ["-c", "5T"], ["-n", "1", "-c", "1"]])
def test_head_takes_numbers(arguments: list[str], ctadata: Run, night: FakeCta) -> None:
    assert ctadata("head", *arguments, "lst/DL3/a.fits").code == 2


def test_a_reader_that_goes_away_ends_cat_as_it_ends_the_one_of_the_system(
    cta_environ: object, fake_cta: FakeCta
) -> None:
    fake_cta.put("/lst/a", bytes(4_000_000))
    with started("cat", "lst/a", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.read(10)
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=30)

    assert first == bytes(10)
    assert (process.returncode, err) == (141, b"")


def test_ctrl_c_ends_cat_while_nobody_reads(cta_environ: object, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", bytes(4_000_000))
    with started("cat", "lst/a", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=10)  # its output is not read meanwhile
        err = process.stderr.read() if process.stderr else b""

    assert (process.returncode, err) == (130, b"ctadata: interrupted\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_a_full_disk_ends_cat_with_an_error(cta_environ: object, night: FakeCta) -> None:
    with Path("/dev/full").open("wb") as full, started("cat", "lst/DL3/*.fits", stdout=full) as process:
        _, err = process.communicate(timeout=30)

    assert process.returncode == 1
    assert err == b"ctadata: cannot write to standard output: No space left on device\n"


def test_cat_of_a_large_file_needs_no_memory_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "served").mkdir()
    with (tmp_path / "served" / "big").open("wb") as file:
        file.truncate(2**28)
    with FakeCta(root=tmp_path / "served") as cta:
        for name, value in cta.environ().items():
            monkeypatch.setenv(name, value)
        command = [sys.executable, "-c", MEASURED, "cat", "big", "--checksum", "off"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            count = 0
            while data := process.stdout.read(1 << 20):
                count += len(data)
            most = int(process.stderr.read())

    assert (count, process.returncode) == (2**28, 0)
    assert most * 1024 < 100_000_000


def test_tree_draws_what_is_below_by_names(ctadata: Run, night: FakeCta) -> None:
    ran = ctadata("tree", "lst/DL3")

    assert (ran.code, ran.err) == (0, "1 folder, 4 files, 13 B\n")
    assert ran.lines == [
        "/lst/DL3/",
        "├── a.fits",
        "├── b.fits",
        "├── notes.txt",
        "└── old/",
        "    └── c.fits",
    ]


def test_tree_is_as_deep_as_it_is_wanted_and_has_sizes_or_only_folders(ctadata: Run, night: FakeCta) -> None:
    assert ctadata("tree", "-L", "1").lines == ["/", "└── lst/"]
    assert ctadata("tree", "-d", "lst").lines == ["/lst/", "└── DL3/", "    └── old/"]
    assert ctadata("tree", "-d", "lst").err == "2 folders\n"
    assert ctadata("tree", "-q", "-s", "--exclude", "[bn]*", "lst/DL3").lines[1:] == [
        "├── [             4]  a.fits",
        "└── [             -]  old/",
        "    └── [             6]  c.fits",
    ]
    assert ctadata("tree", "lst/DL3/a*", "lst/DL3/old/").lines == ["/lst/DL3/a.fits", "/lst/DL3/old/", "└── c.fits"]


def test_tree_as_json_has_the_depth_of_each_and_a_summary(ctadata: Run, night: FakeCta) -> None:
    top, *inner, summary = ctadata("tree", "--json", "lst/DL3").records

    assert (top["path"], top["depth"], top["type"]) == ("/lst/DL3", 0, "folder")
    assert [(one["path"], one["depth"]) for one in inner][-2:] == [("/lst/DL3/old", 1), ("/lst/DL3/old/c.fits", 2)]
    assert summary == {"summary": {"folders": 1, "files": 4, "size": 13}}


def test_tree_and_du_go_on_past_what_cannot_be_listed(ctadata: Run, night: FakeCta) -> None:
    night.put("/lst/x/y", b"123")
    night.faults.add("forbidden", method="PROPFIND", path="/lst/DL3")
    tree, du = ctadata("tree", "-q", "lst"), ctadata("du", "lst")

    assert (tree.code, du.code) == (1, 1)
    assert tree.lines == ["/lst/", "├── DL3/", "└── x/", "    └── y"]
    assert "/lst/DL3" in tree.one_line
    assert du.lines == ["             0 /lst/DL3/", "             3 /lst/x/", "             3 /lst/"]


def test_tree_can_be_drawn_where_only_ascii_is_printed(cta_environ: object, night: FakeCta) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    with started("tree", "lst/DL3/", stdout=subprocess.PIPE, env=environment) as process:
        out, _ = process.communicate(timeout=30)

    assert out.splitlines()[-2:] == [b"`-- old/", b"    `-- c.fits"]


def test_du_tells_what_each_folder_comes_to(ctadata: Run, night: FakeCta) -> None:
    night.put("/lst/big", bytes(2_000_000))

    assert ctadata("du", "lst/DL3").lines == ["             6 /lst/DL3/old/", "            13 /lst/DL3/"]
    assert ctadata("du", "-s").lines == ["       2000013 /"]
    assert ctadata("du", "-h", "-d", "1", "lst").lines == ["          13 B /lst/DL3/", "        2.0 MB /lst/"]
    assert ctadata("du", "-d0", "lst/DL3/a.fits", "lst/DL3/o*").lines == [
        "             4 /lst/DL3/a.fits",
        "             6 /lst/DL3/old/",
    ]
    assert ctadata("du", "-s", "--exclude", "old/", "lst/DL3").lines == ["             7 /lst/DL3/"]


def test_du_as_json_has_the_numbers_of_files_and_folders(ctadata: Run, night: FakeCta) -> None:
    (record,) = ctadata("du", "-s", "--json", "lst").records

    assert record == {
        "path": "/lst",
        "uri": "cta://lst/",
        "type": "folder",
        "depth": 0,
        "size": 13,
        "files": 4,
        "folders": 2,
        "unsized": 0,
    }


@pytest.mark.parametrize("command", [["cat", "lst/x"], ["head", "lst/x"], ["tree", "-q", "lst/x"], ["du", "lst/x"]])
def test_what_is_missing_is_told(command: list[str], ctadata: Run, night: FakeCta) -> None:
    ran = ctadata(*command)

    assert ran.code == 1
    assert "/lst/x" in ran.one_line
