"""What a door tells while it copies: markers of every dialect, and what is none."""

import pytest

from ctadata_providers.backends.perfmarkers import LONGEST_LINE, SILENT_BYTES, Markers
from ctadata_providers.errors import UnsupportedError

XROOTD = (
    b"Perf Marker\nTimestamp: 1537788010\nStripe Index: 0\nStripe Bytes Transferred: 238745\nTotal Stripe Count: 1\n"
    b"RemoteConnections: tcp:192.0.2.7:1094\nEnd\n"
)
DCACHE = (
    b"Perf Marker\n    Timestamp: 1360578938\n    State: 10\n    State description: Mover created\n"
    b"    Stripe Index: 0\n    Stripe Start Time: 1360578930\n    Stripe Last Transferred: 1360578936\n"
    b"    Stripe Transfer Time: 8\n    Stripe Bytes Transferred: 103887104\n    Stripe Status: RUNNING\n"
    b"    Total Stripe Count: 1\nEnd\n"
)
WAITING = b"Perf Marker\n    Timestamp: 1\n    State: 4\n    Stripe Index: 0\n    Total Stripe Count: 1\nEnd\n"


def fed(*pieces: bytes) -> Markers:
    markers = Markers()
    for piece in pieces:
        markers.feed(piece)
    return markers


@pytest.mark.parametrize(("text", "transferred"), [(XROOTD, 238745), (DCACHE, 103887104), (WAITING, 0)])
def test_the_markers_of_each_server_tell_the_bytes(text: bytes, transferred: int) -> None:
    whole, split = fed(text), fed(*(text[i : i + 1] for i in range(len(text))))

    assert (whole.transferred, split.transferred) == (transferred, transferred)
    assert whole.verdict() is None
    assert fed(text.replace(b"\n", b"\r\n")).transferred == transferred


def test_stripes_are_summed_up_and_a_marker_that_is_not_whole_does_not_count() -> None:
    stripe = b"Perf Marker\nStripe Index: %d\nStripe Bytes Transferred: %d\nEnd\n"
    markers = fed(stripe % (0, 5), stripe % (1, 7), stripe % (0, 6), b"Perf Marker\nStripe Bytes Transferred: 99\n")

    assert markers.transferred == 13


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (b"success: Created", (True, "Created")),
        (b"success: Created\n", (True, "Created")),
        (XROOTD + b"success: Created\r\n\r\n", (True, "Created")),
        (b"  SUCCESS\n", (True, "")),
        (b"failure: rejected GET: 404 Not Found\n", (False, "rejected GET: 404 Not Found")),
        (b"success: Created\nfailure: checksum\n", (False, "checksum")),
        (b"failure: one\nsuccess: Created\n", (True, "Created")),
        (b"success: Created\nPerf Marker\n", None),
        (b"succ", None),
        (b"failur", None),
        (XROOTD, None),
        (b"", None),
        (b"\n\n", None),
        (b"<html>success: Created</html>", None),
        (b"unsuccessful: success\n", None),
        (b"\xff\xfe\x00\n", None),
    ],
)
def test_the_last_line_is_the_truth_and_nothing_else_is(text: bytes, verdict: tuple[bool, str] | None) -> None:
    assert fed(text).verdict() == verdict


@pytest.mark.parametrize(
    "piece",
    [b"x" * (LONGEST_LINE + 1), b"x" * LONGEST_LINE + b"yz\n", b"<p>word</p>\n" * 6000, b"\n" * (SILENT_BYTES + 1)],
)
def test_what_goes_on_without_a_marker_is_refused(piece: bytes) -> None:
    with pytest.raises(UnsupportedError, match="performance markers"):
        fed(piece)
    with pytest.raises(UnsupportedError, match="performance markers"):
        fed(*(piece[i : i + 1000] for i in range(0, len(piece), 1000)))


def test_a_day_of_markers_is_no_flood() -> None:
    markers = fed(*[XROOTD] * 20_000, b"success: Created\n")

    assert markers.verdict() == (True, "Created")


@pytest.mark.parametrize(
    "count", [b"-5", b"1e9", b"99999999999999999999999", b"0x10", "٣".encode(), b"5 5", b"", b"five"]
)
def test_a_count_that_is_none_is_passed_over(count: bytes) -> None:
    markers = fed(b"Perf Marker\nStripe Bytes Transferred: 4\nEnd\nPerf Marker\nStripe Bytes Transferred: " + count)
    markers.feed(b"\nEnd\nsuccess: Created\n")

    assert (markers.transferred, markers.verdict()) == (4, (True, "Created"))
