"""Performance markers: whatever a door sends, a verdict or our error, however it is cut into pieces."""

from itertools import pairwise

from hypothesis import strategies as st

from ctadata_providers.backends.perfmarkers import LONGEST_LINE, Markers
from ctadata_providers.errors import UnsupportedError
from tests.fuzz.engine import holds

LINES = (
    *(b"Perf Marker", b"End", b"    Stripe Index: 1", b"Stripe Bytes Transferred: 17", b"Stripe Bytes Transferred: x"),
    *(
        b"success: Created",
        b"failure: no",
        b"",
        b"success",
        b"\0\xff",
        b"a" * 3000,
        b"b" * 5000,
        b"Total Stripe Count: 1",
    ),
)
lines = st.one_of(st.sampled_from(LINES), st.binary(max_size=60))
texts = st.builds(
    lambda parts, ends: b"".join(part + end for part, end in zip(parts, ends, strict=False)),
    st.lists(lines, max_size=30),
    st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b""]), min_size=30, max_size=30),
)


def told(pieces: list[bytes]) -> tuple[int, tuple[bool, str] | None] | None:
    markers = Markers()
    try:
        for piece in pieces:
            markers.feed(piece)
    except UnsupportedError:
        return None
    return markers.transferred, markers.verdict()


@holds(text=texts, cuts=st.lists(st.integers(0, 20_000), max_size=8))
def test_the_pieces_do_not_matter(text: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(places)]

    assert told(pieces) == told([text]) == told([text[i : i + 1] for i in range(len(text))])


@holds(text=texts)
def test_only_a_last_line_that_says_so_is_a_success(text: bytes) -> None:
    outcome = told([text])
    last = next((line for line in reversed(text.split(b"\n")) if line.strip(b" \t\r\n\0")), b"")
    if outcome is not None and outcome[1] is not None and outcome[1][0]:
        assert last.strip(b" \t\r\n\0").lower().startswith(b"success")
    if outcome is None:
        assert len(text) > LONGEST_LINE


@holds(text=texts, cut=st.integers(0, 20_000))
def test_what_is_cut_off_before_its_last_line_is_no_success(text: bytes, cut: int) -> None:
    begun = (text[:cut] + b"\nPerf Marker\nStripe Index: 0\n").replace(b"success", b"")
    outcome = told([begun])

    assert outcome is None or outcome[1] is None
