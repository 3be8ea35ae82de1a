"""Copies from server to server, broken on purpose: whole and right, or absent with the right error."""

import signal
import threading
from collections.abc import Callable

import pytest

from ctadata_providers import (
    AlreadyExistsError,
    CtaClient,
    CtaError,
    IntegrityError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    StorageError,
    TransientError,
)
from tests.faults.acts import reset_after, stall_after, status
from tests.faults.cells import Told, assert_nothing_secret
from tests.faults.copied import COPY, HERE, MARKER, PATH, THERE, Pair, cut, fall_silent, leave_a_part, pair, say
from tests.faults.scripted import Act, Exchange

__all__ = ["pair"]


def test_the_target_pulls_with_the_token_for_the_source(pair: Pair, told: Told) -> None:
    pair.target.fault("COPY", pair.pulls())
    seen: list[int] = []
    result = pair.copy(progress=seen.append)
    (asked,) = pair.target.requests("COPY")

    assert (result.way, result.size, result.retries) == ("pull", len(pair.payload), 0)
    assert asked.headers["source"] == pair.source.url + PATH
    assert asked.headers["transferheaderauthorization"] == f"Bearer {HERE}"
    assert (asked.headers["authorization"], asked.headers["credential"]) == (f"Bearer {THERE}", "none")
    assert sum(seen) == len(pair.payload)
    assert pair.left() == {COPY: pair.payload}
    assert not pair.source.requests("GET")
    assert_nothing_secret(told.text(), HERE, THERE)


REFUSALS = {
    "400": status(400),
    "405": status(405),
    "501": status(501),
    "415": status(415),
    "502": status(502),
    "cannot connect": say("failure: Unable to connect to the remote server\n"),
    "cannot connect, early": status(500, body=b"Failed to connect to localhost port 1: Connection refused"),
    "private address": status(403, body=b"connection to local/private addresses is forbidden"),
    "unknown host": say("failure: Could not resolve host: door.example\n"),
    "distrusted": say("failure: SSL certificate problem: unable to get local issuer certificate\n"),
    "a page": status(200, "Content-Type: text/html", body=b"<html>" + b"<p>hello</p>" * 10_000),
    "an endless line": say("x" * 100_000),
    "no answer worth the name": say("hello\n" * 20_000),
}
FAULTS = {
    "reset before an answer": reset_after(None),
    "silence before an answer": stall_after(None),
    "cut in a marker": cut("Perf Marker\n    Timest"),
    "cut before the last line": cut(MARKER.format(5)),
    "cut in the last line": cut(MARKER.format(5) + "succ"),
    "no last line": say(MARKER.format(5)),
    "no word at all": say(""),
    "silence after a marker": fall_silent(MARKER.format(5)),
    "an error of the other side": say("failure: rejected GET: 500 Internal Server Error\n"),
    "an error without words": say("failure:\n"),
    "a path that looks like a status": say("failure: read error at https://h:507/run-404/no-403 (quota/connect)\n"),
    "503": status(503),
}


@pytest.mark.parametrize("act", [pytest.param(act, id=name) for name, act in REFUSALS.items()])
def test_a_way_that_is_refused_is_followed_by_the_next(pair: Pair, act: Act) -> None:
    pair.target.fault("COPY", leave_a_part(act))
    pair.source.fault("COPY", pair.pushes())
    result = pair.copy()

    assert (result.way, len(pair.target.requests("COPY")), len(pair.source.requests("COPY"))) == ("push", 1, 1)
    assert pair.source.requests("COPY")[0].headers["transferheaderauthorization"] == f"Bearer {THERE}"
    assert pair.left() == {COPY: pair.payload}


@pytest.mark.parametrize("act", [pytest.param(act, id=name) for name, act in FAULTS.items()])
def test_a_fault_that_passes_is_tried_again_on_the_same_way(pair: Pair, act: Act) -> None:
    pair.target.fault("COPY", leave_a_part(act), times=1)
    pair.target.fault("COPY", pair.pulls())
    seen: list[int] = []
    result = pair.copy(progress=seen.append)

    assert (result.way, result.retries) == ("pull", 1)
    assert sum(seen) == len(pair.payload)
    assert pair.left() == {COPY: pair.payload}


# Silence on every way takes its time, and ends as each other fault.
@pytest.mark.parametrize(
    "act", [pytest.param(act, id=name) for name, act in (REFUSALS | FAULTS).items() if "silence" not in name]
)
def test_where_no_server_copies_it_goes_through_here(pair: Pair, act: Act) -> None:
    pair.target.fault("COPY", leave_a_part(act))
    pair.source.fault("COPY", act)
    seen: list[int] = []
    result = pair.copy(progress=seen.append)

    assert result.way == "client"
    assert sum(seen) == len(pair.payload)
    assert pair.left() == {COPY: pair.payload}


FINAL: dict[str, tuple[Act, type[CtaError]]] = {
    "403": (status(403), PermissionDeniedError),
    "403 of the other side": (say("failure: rejected GET: 403 Forbidden\n"), PermissionDeniedError),
    "403 of XRootD's other side": (
        say('failure: Remote side failed with status code 403; error message: "permission denied"\n', 201),
        PermissionDeniedError,
    ),
    "401 of the other side": (say("failure: rejected GET: 401 Unauthorized\n"), PermissionDeniedError),
    "404": (status(404), NotFoundError),
    "404 of the other side": (say("failure: rejected GET: 404 Not Found\n"), NotFoundError),
    "404 of XRootD 5.8's other side": (
        status(500, body=b"HTTP library failure: failed with status code 404 while fetching remote size"),
        NotFoundError,
    ),
    "412": (status(412), AlreadyExistsError),
    "file exists, XRootD 6": (status(500, body=b"file exists"), AlreadyExistsError),
    "507": (status(507), QuotaError),
    "no space": (say("failure: No space left on device\n"), QuotaError),
}


@pytest.mark.parametrize(("act", "kind"), [pytest.param(*row, id=name) for name, row in FINAL.items()])
def test_what_no_way_would_survive_is_an_error_at_once(pair: Pair, act: Act, kind: type[CtaError]) -> None:
    pair.target.fault("COPY", leave_a_part(act))
    with pytest.raises(kind):
        pair.copy()

    assert pair.left() == {}
    assert len(pair.target.requests("COPY")) <= 2  # a missing file could be a missing folder, which is made
    assert [*pair.source.requests("COPY"), *pair.source.requests("GET")] == []


@pytest.mark.parametrize("server", ["XrootD/v5.5.3", "dCache/10.2.25"])
def test_a_missing_right_that_is_told_as_401_does_not_lock_the_token_out(pair: Pair, server: str) -> None:
    pair.target.server = server
    pair.target.fault("COPY", status(401, body=b"Permission denied"))
    with pytest.raises(PermissionDeniedError):
        pair.copy()

    assert pair.there.exists("/copies/other")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "bytes arrived"),
        (b"short", "bytes arrived"),
        (b"x" * 300_000, "adler32"),
        (b"x" * 300_001, "bytes arrived"),
    ],
)
def test_a_success_that_is_none_is_an_integrity_error_and_leaves_nothing(pair: Pair, data: bytes, what: str) -> None:
    pair.target.fault("COPY", pair.pulls(data=data))
    with pytest.raises(IntegrityError, match=what):
        pair.copy()

    assert pair.left() == {}


@pytest.mark.parametrize("right", [True, False])
def test_a_digest_that_the_target_has_alone_is_asked_of_the_source(pair: Pair, right: bool) -> None:
    content = pair.payload * 4
    pair.source.files[PATH], pair.source.digests = content, "md5"
    pair.target.checksums, pair.target.digests = False, "md5"
    pair.target.fault("COPY", pair.pulls(data=content if right else content[::-1]))

    if right:
        pair.copy()
        assert pair.left() == {COPY: content}
    else:
        with pytest.raises(IntegrityError, match="md5"):
            pair.copy()
        assert pair.left() == {}


def test_a_success_of_nothing_at_all_goes_another_way(pair: Pair) -> None:
    pair.target.fault("COPY", say("success: Created\n"))
    result = pair.copy()

    assert result.way == "client"
    assert pair.left() == {COPY: pair.payload}


def test_the_old_file_stays_until_the_new_one_is_whole(pair: Pair) -> None:
    pair.target.files[COPY] = b"old"
    before: list[bytes] = []

    def act(exchange: Exchange) -> None:
        before.append(exchange.door.files[COPY])
        pair.pulls(data=b"short")(exchange)

    pair.target.fault("COPY", act)
    with pytest.raises(IntegrityError):
        pair.copy()

    assert before == [b"old"]
    assert pair.left() == {COPY: b"old"}


def test_without_the_right_to_rename_it_goes_to_its_name_and_what_fails_is_removed(pair: Pair) -> None:
    pair.target.fault("MOVE", status(403))
    pair.target.fault("COPY", pair.pulls(), times=1)
    pair.target.fault("COPY", pair.pulls(data=b"short"))
    with pytest.raises(IntegrityError):
        pair.copy()
    left = pair.left()
    pair.target._faults.clear()
    pair.target.fault("MOVE", status(403))
    pair.target.fault("COPY", pair.pulls())
    result = pair.copy()

    assert left == {}
    assert (result.way, pair.left()) == ("pull", {COPY: pair.payload})


def test_a_retry_may_replace_what_the_first_attempt_left_under_the_name(pair: Pair) -> None:
    def once_cut(exchange: Exchange) -> None:
        exchange.door.files[exchange.asked.path] = b""
        cut(MARKER.format(0))(exchange)

    def guarded(exchange: Exchange) -> None:
        exists = exchange.asked.path in exchange.door.files and exchange.asked.headers["overwrite"] == "F"
        (status(412) if exists else pair.pulls())(exchange)

    pair.target.fault("MOVE", status(403))
    pair.target.fault("COPY", pair.pulls(), times=1)
    pair.target.fault("COPY", once_cut, times=1)
    pair.target.fault("COPY", guarded)
    result = pair.copy(overwrite=False)

    assert (result.way, pair.left()) == ("pull", {COPY: pair.payload})


def test_a_file_is_not_copied_to_itself_nor_a_tree_into_itself_through_another_base_path(
    pair: Pair, client_of: Callable[..., CtaClient]
) -> None:
    below = client_of(pair.source, token=HERE, base_path="/night", copy_hosts=("localhost",))
    name = PATH.removeprefix("/night")
    for one, other, paths in ((pair.here, below, (PATH, name)), (below, pair.here, (name, PATH))):
        with pytest.raises(StorageError, match="to itself"):
            one.copy(*paths, to=other)
    with pytest.raises(StorageError, match="inside it"):
        pair.here.copy_tree("/night", "/copy", to=below)

    assert pair.source.files == {PATH: pair.payload}
    assert pair.source.requests("COPY") == []


@pytest.mark.parametrize("name", ["a b", "ab"], ids=["known not to rename", "found not to rename"])
def test_what_may_be_the_source_by_another_name_is_not_written_over(pair: Pair, name: str) -> None:
    pair.target.files[f"/copies/{name}"] = pair.payload
    pair.target.fault("MOVE", status(403))
    pair.target.fault("COPY", pair.pulls())
    with pytest.raises(StorageError, match="same file"):
        pair.here.copy(PATH, f"/copies/{name}", to=pair.there)

    assert pair.left() == {f"/copies/{name}": pair.payload}
    assert pair.target.requests("PUT") == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_target_that_exists_or_is_a_folder_is_seen_before_anything_is_copied(pair: Pair, overwrite: bool) -> None:
    with pytest.raises((AlreadyExistsError, StorageError)):
        pair.here.copy(PATH, "/copies" if overwrite else "/copies/other", to=pair.there, overwrite=overwrite)

    assert pair.target.requests("COPY") == []
    assert pair.target.files == {"/copies/other": b"other"}


def test_a_stopped_copy_ends_on_the_server_and_leaves_nothing(pair: Pair) -> None:
    begun, ended = threading.Event(), threading.Event()

    def act(exchange: Exchange) -> None:
        exchange.door.files[exchange.asked.path] = b"part"
        exchange.head(202, "Transfer-Encoding: chunked")
        text = MARKER.format(5).encode()
        exchange.send(b"%x\r\n%b\r\n" % (len(text), text))
        begun.set()
        try:
            exchange.receive()
        finally:
            ended.set()

    def interrupt() -> None:
        assert begun.wait(5)
        signal.pthread_kill(main.ident or 0, signal.SIGINT)

    main = threading.main_thread()
    threading.Thread(target=interrupt, daemon=True).start()
    pair.target.fault("COPY", act)
    with pytest.raises(KeyboardInterrupt):
        pair.copy()
    pair.there.close()

    assert ended.wait(2)
    assert pair.left() == {}
    assert pair.target.requests("DELETE")


def test_a_target_that_went_away_is_told_before_the_file_is_fetched(pair: Pair) -> None:
    def close(exchange: Exchange) -> None:
        exchange.door.close()
        exchange.reset()

    pair.target.fault("COPY", close)
    with pytest.raises(TransientError):
        pair.copy()

    assert not pair.source.requests("GET")


def test_all_files_of_a_tree_take_the_way_that_works(pair: Pair) -> None:
    """A way that was refused three times in a row is not tried for each of a thousand files."""
    pair.source.files |= {f"/night/{number:03}": b"x" for number in range(40)}
    pair.target.fault("COPY", status(501))
    pair.source.fault("COPY", status(501))
    result = pair.here.copy_tree("/night", "/copies/night", to=pair.there)

    assert (result.files, result.failures) == (41, ())
    assert len(pair.target.requests("COPY")) <= 3 + 16
    assert {path.rpartition("/")[2] for path in pair.left()} == {"events.fits", *(f"{n:03}" for n in range(40))}
