"""The matrix: every fault, and what comes of it in every kind of transfer, once it has passed and when it stays."""

import errno

from ctadata_providers import (
    CredentialError,
    IntegrityError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    StorageError,
    TransientError,
)
from tests.faults.matrix import surroundings as around
from tests.faults.matrix import wire
from tests.faults.matrix.cells import GOES_ON, NOT_SEEN, WHOLE, Row, Way, ends, fails
from tests.faults.scripted import get, put

TRANSIENT = (WHOLE, fails(TransientError))
GOING_ON = (GOES_ON, fails(TransientError, "part"))
WRONG = (None, fails(IntegrityError))
WRONG_THERE = (None, fails(IntegrityError, "nothing"))
ALWAYS_WHOLE = (None, WHOLE)
LIMITED = {"timeout": 0.2}

CONNECTIONS = (
    Row(fault="connection refused, for a while", install=around.refused, ends=ends(TRANSIENT, TRANSIENT)),
    Row(
        fault="name of the server unknown",
        install=around.unknown_host,
        ends=ends((None, fails(TransientError)), (None, fails(TransientError)), direct=(None, None)),
    ),
    Row(
        fault="name of the server unknown for a while",
        ends=ends((WHOLE, None), (WHOLE, None)),
        tried="tests/real/test_names_that_fail.py",
    ),
    Row(
        fault="server restarted, all connections dead",
        install=around.restarted,
        ends=ends((WHOLE, None), (WHOLE, None)),
    ),
    Row(
        fault="server gone in the middle of a body, for a while",
        install=around.gone_midway,
        ends=ends(TRANSIENT, TRANSIENT, large=GOING_ON, direct=(WHOLE, fails(IntegrityError))),
    ),
    Row(
        fault="server gone for 20 s, with the waits that users have",
        ends=ends((WHOLE, None), (WHOLE, None), tree=(None, None), direct=(None, None)),
        tried="tests/faults/test_gone_server.py",
    ),
    Row(
        fault="reset before the answer, before the body of an upload",
        install=wire.at("answer", wire.reset),
        ends=ends(TRANSIENT, TRANSIENT),
    ),
    Row(fault="reset at byte 0", install=wire.at("start", wire.reset), ends=ends(TRANSIENT, TRANSIENT)),
    Row(
        fault="reset in the middle",
        install=wire.at("middle", wire.reset),
        ends=ends(TRANSIENT, TRANSIENT, large=GOING_ON),
    ),
    Row(
        fault="reset at the last byte",
        install=wire.at("last", wire.reset),
        ends=ends(TRANSIENT, TRANSIENT, large=GOING_ON),
    ),
    Row(
        fault="silence before the answer, before the body of an upload",
        install=wire.at("answer", wire.stall),
        ends=ends(TRANSIENT, TRANSIENT),
        settings=LIMITED,
    ),
    Row(
        fault="silence in the middle",
        install=wire.at("middle", wire.stall),
        ends=ends(TRANSIENT, TRANSIENT, large=GOING_ON),
        settings=LIMITED,
    ),
    Row(
        fault="slow but steady",
        install=wire.each(wire.drip, wire.sip),
        ends=ends(ALWAYS_WHOLE, ALWAYS_WHOLE),
        settings={"timeout": 0.4},
    ),
)

BODIES = (
    Row(
        fault="truncated, length announced",
        install=wire.at("middle", wire.close),
        ends=ends(TRANSIENT, TRANSIENT, large=GOING_ON),
    ),
    Row(
        fault="truncated, length not announced; less is stored than was sent",
        install=wire.each(wire.unannounced(wire.half), wire.stored(wire.half)),
        ends=ends(WRONG, WRONG, direct=WRONG_THERE),
        door={"tls": False},
    ),
    Row(
        fault="longer than announced; more is stored than was sent",
        install=wire.each(wire.behind, wire.stored(wire.longer)),
        ends=ends(ALWAYS_WHOLE, WRONG, direct=WRONG_THERE),
    ),
    Row(
        fault="longer than listed, length not announced",
        install=wire.each(wire.unannounced(wire.longer), put),
        ends=ends(WRONG),
        door={"tls": False},
    ),
    Row(
        fault="one flipped bit, checksum told",
        install=wire.each(wire.instead(wire.flipped), wire.stored(wire.flipped)),
        ends=ends(WRONG, WRONG, direct=WRONG_THERE),
        door={"checksums": True},
    ),
    Row(
        fault="one flipped bit, no checksum told, `checksum: require`",
        install=wire.each(wire.instead(wire.flipped), wire.stored(wire.flipped)),
        ends=ends(WRONG, WRONG, tree=(None, None), direct=(None, None)),
        settings={"checksum": "require"},
    ),
    Row(
        fault="one flipped bit, no checksum told",
        install=wire.each(wire.instead(wire.flipped), wire.stored(wire.flipped)),
        ends=ends((None, NOT_SEEN), (None, NOT_SEEN)),
    ),
    Row(
        fault="half of a broken upload stays under its name",
        install=wire.each(get, wire.keeping(wire.reset)),
        ends=ends(None, TRANSIENT, direct=(WHOLE, fails(TransientError, "nothing"))),
    ),
    Row(
        fault="dCache finds a wrong checksum and keeps the corrupt file",
        install=wire.each(get, wire.keeping(lambda exchange: exchange.answer(400, reason="Checksum mismatch"))),
        ends=ends(None, WRONG, direct=WRONG_THERE),
        door={"server": "dCache/10.2.25"},
    ),
    Row(
        fault="rename answered with 503",
        install=wire.renames(lambda exchange: exchange.answer(503)),
        ends=ends(None, TRANSIENT, direct=(None, None)),
    ),
    Row(
        fault="connection reset after the rename was done",
        install=wire.renames(wire.renamed_and_reset),
        ends=ends(None, (WHOLE, WHOLE), direct=(None, None)),
    ),
)

STATUSES = (
    Row(
        fault="429 with Retry-After: 7",
        install=wire.says(429, "Retry-After: 7"),
        ends=ends(TRANSIENT, TRANSIENT),
        waits=7,
    ),
    Row(fault="429 without Retry-After", install=wire.says(429), ends=ends(TRANSIENT, TRANSIENT), waits=20),
    Row(
        fault="503 with Retry-After: 7",
        install=wire.says(503, "Retry-After: 7"),
        ends=ends(TRANSIENT, TRANSIENT),
        waits=7,
    ),
    Row(fault="503 without Retry-After", install=wire.says(503), ends=ends(TRANSIENT, TRANSIENT)),
    Row(fault="500, three times", install=wire.burst(500), ends=ends(TRANSIENT, TRANSIENT)),
    Row(
        fault="507, no quota left",
        install=wire.says(507),
        ends=ends(None, (None, fails(QuotaError))),
    ),
    Row(
        fault="401, a next token is there or not",
        install=around.refusing(401, "first-token-0123456789", "second-token-0123456789"),
        ends=ends((WHOLE, fails(CredentialError)), (WHOLE, fails(CredentialError))),
    ),
    Row(
        fault="403 from XRootD for a token that has ended, a next one is there or not",
        install=around.refusing(403, around.ENDED, around.LIVING),
        ends=ends((WHOLE, fails(CredentialError)), (WHOLE, fails(CredentialError))),
        door={"server": "XrootD/v5.8.1"},
    ),
    Row(
        fault="403 from XRootD for a token that lives",
        install=around.refusing(403, around.LIVING, around.LIVING),
        ends=ends((None, fails(PermissionDeniedError)), (None, fails(PermissionDeniedError))),
        door={"server": "XrootD/v5.8.1"},
    ),
    Row(
        fault="reset in the middle, then 401, a next token is there or not",
        install=around.broken_and_refused,
        ends=ends(
            (WHOLE, fails(CredentialError)),
            (WHOLE, fails(CredentialError)),
            large=(GOES_ON, fails(CredentialError, "part")),
        ),
    ),
)

REDIRECTS = (
    Row(
        fault="redirect loop",
        install=wire.sent_elsewhere("itself"),
        ends=ends((WHOLE, fails(StorageError)), (WHOLE, fails(StorageError))),
    ),
    Row(
        fault="redirect to another host, which sees no token",
        install=wire.sent_elsewhere("another host"),
        ends=ends(ALWAYS_WHOLE, ALWAYS_WHOLE),
    ),
    Row(
        fault="redirect to http",
        install=wire.sent_elsewhere("http"),
        ends=ends((None, fails(StorageError)), (None, fails(StorageError))),
    ),
    Row(
        fault="URL of a pool used up",
        install=wire.used_up,
        ends=ends((WHOLE, fails(StorageError)), (WHOLE, fails(StorageError))),
    ),
)

AROUND = (
    Row(
        fault="replaced by a file of the same size during the download (another ETag)",
        install=around.midway(around.replaced),
        ends=ends((WHOLE, None)),
    ),
    Row(
        fault="replaced by a file of another size during the download",
        install=around.midway(around.shortened),
        ends=ends((None, fails(IntegrityError))),
    ),
    Row(
        fault="removed during the download",
        install=around.midway(around.removed),
        ends=ends((None, fails(NotFoundError))),
    ),
    Row(
        fault="local disk full",
        install=around.disk_full(errno.ENOSPC),
        ends=ends((None, fails(QuotaError))),
    ),
    Row(
        fault="local quota exceeded",
        install=around.disk_full(errno.EDQUOT),
        ends=ends((None, fails(QuotaError))),
    ),
    Row(
        fault="local folder read-only",
        install=around.read_only,
        ends=ends((None, fails(PermissionDeniedError)), tree=(None, None)),
    ),
    Row(
        fault="local name too long",
        install=around.long_name,
        ends=ends((None, fails(StorageError)), tree=(None, None)),
    ),
    Row(
        fault="remote name too long",
        ends=ends(None, (None, fails(StorageError)), direct=(None, None)),
        tried="tests/faults/test_upload_targets.py, tests/conformance/suite/names.py",
    ),
    Row(
        fault="clock of this machine set forward by a day",
        install=around.clock_jumps(around.A_DAY),
        ends=ends(ALWAYS_WHOLE, ALWAYS_WHOLE),
    ),
    Row(
        fault="clock of this machine set back by a day",
        install=around.clock_jumps(-around.A_DAY),
        ends=ends(ALWAYS_WHOLE, ALWAYS_WHOLE),
    ),
)

PROCESSES = (
    Row(
        fault="our process killed (`kill -9`) at any moment, and run again",
        ends=ends((WHOLE, None), (WHOLE, None), large=(GOES_ON, None), tree=(GOES_ON, None)),
        tried="tests/faults/kills, tests/faults/test_ends.py, tests/real/test_kills.py",
    ),
    Row(
        fault="two of our processes at once, to one target",
        ends=ends((WHOLE, None), (WHOLE, None), direct=(None, None)),
        tried="tests/faults/test_at_once.py",
    ),
)

ROWS = (*CONNECTIONS, *BODIES, *STATUSES, *REDIRECTS, *AROUND, *PROCESSES)
DOWNLOADS = tuple(way for way in Way if way.is_down)
UPLOADS = tuple(way for way in Way if not way.is_down)
