"""Which faults there are: what each does, where, and with which options."""

import math
import re
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypedDict

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.requestlog import ServerName

FaultName = Literal[
    "unauthorized",
    "forbidden",
    "not-found",
    "too-many-requests",
    "server-error",
    "unavailable",
    "no-space",
    "reset",
    "stall",
    "slow",
    "truncate",
    "longer-body",
    "corrupt",
    "lost-answer",
    "slow-redirect",
    "redirect-loop",
    "redirect-to",
    "expired-url",
    "pool-down",
    "nearline",
    "abandoned-upload",
    "corrupt-upload-stays",
    "late-visibility",
    "wrong-digest",
    "no-digest",
    "wrong-size",
    "broken-listing",
    "failed-copy",
    "invalid-grant",
    "slow-down",
    "redirect",
    "crash",
]
"""What can be switched on; `KINDS` says what each does."""


class FaultOptions(TypedDict, total=False):
    """The options of faults; which of them a fault takes stands in `KINDS`."""

    after: int
    seconds: float
    rate: int
    retry_after: float
    status: int
    to: str
    announced: bool
    refused: bool
    by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a fault was told.

    Attributes:
        after: Bytes of a body that pass before it strikes; for `reset` and `stall` 0 is before an answer.
        seconds: How long the server waits.
        rate: Bytes a second.
        retry_after: Seconds in the Retry-After header, below 0 for no such header.
        status: The HTTP status that is answered.
        to: The origin (`https://host:port`) to which clients are sent.
        announced: Whether Content-Length tells the true size; if not, there is none.
        refused: Whether clients are sent to a port where nobody listens, instead of an error of the door; of a copy,
            whether the other side refuses the connection.
        by: Bytes that are too many, below 0 too few.
    """

    after: int = 0
    seconds: float = 0.0
    rate: int = 0
    retry_after: float = -1.0
    status: int = 0
    to: str = ""
    announced: bool = True
    refused: bool = False
    by: int = 1


_SERVICES: tuple[ServerName, ...] = ("downloadservice", "certificateservice")
_STORAGE: tuple[ServerName, ...] = ("storage",)
_EVERYWHERE: tuple[ServerName, ...] = ("door", "pool", "issuer", *_SERVICES, "hub", *_STORAGE)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault does.

    Attributes:
        does: One line about it.
        servers: The servers that can have it.
        methods: The methods that can meet it, none for all.
        takes: The names of its options.
        defaults: Their values if not told.
    """

    does: str
    servers: tuple[ServerName, ...] = _EVERYWHERE
    methods: frozenset[str] = frozenset()
    takes: tuple[str, ...] = ()
    defaults: Options = field(default_factory=Options)


_GET, _PUT = frozenset({"GET"}), frozenset({"PUT"})
_CHANGES = frozenset({"PUT", "MKCOL", "MOVE", "DELETE"})
_METHODS = _CHANGES | {"GET", "HEAD", "PROPFIND", "PROPPATCH", "OPTIONS", "POST", "COPY", "LOCK", "UNLOCK"}
_ORIGIN = re.compile(r"https?://[^/?#@\s]+/?")
_DOOR: tuple[ServerName, ...] = ("door",)
_POOL: tuple[ServerName, ...] = ("pool",)
_ISSUER: tuple[ServerName, ...] = ("issuer",)
_POST = frozenset({"POST"})
_BODY = "of the body on its way: a PUT's upwards, else the answer's"

KINDS: dict[FaultName, Kind] = {
    "unauthorized": Kind("401: the credential is refused; three of them within 20 s are a ban"),
    "forbidden": Kind("403: the credential is good, but does not allow this"),
    "not-found": Kind("404"),
    "too-many-requests": Kind("429", takes=("retry_after",)),
    "server-error": Kind("500, or another status", takes=("status",), defaults=Options(status=500)),
    "unavailable": Kind("503: shutting down", takes=("retry_after",)),
    "no-space": Kind("507: pools or quota are full", _DOOR + _POOL + _STORAGE, _PUT),
    "reset": Kind(f"the connection is reset before an answer, or after `after` bytes {_BODY}", takes=("after",)),
    "stall": Kind(
        f"silence before an answer, or after `after` bytes {_BODY}",
        takes=("after", "seconds"),
        defaults=Options(seconds=600.0),
    ),
    "slow": Kind(f"`rate` bytes a second {_BODY}", takes=("rate",), defaults=Options(rate=10_000)),
    "truncate": Kind(f"the end comes after `after` bytes {_BODY}", takes=("after", "announced")),
    "longer-body": Kind(
        f"`by` bytes too many at the end {_BODY}", takes=("by", "announced"), defaults=Options(announced=False)
    ),
    "corrupt": Kind(f"one bit is flipped in the byte at `after` {_BODY}", takes=("after",)),
    "lost-answer": Kind(
        "what is asked for is done, then the connection is reset",
        _DOOR + _POOL + _ISSUER + _SERVICES,
        _CHANGES | _POST,
    ),
    "slow-redirect": Kind(
        "the door thinks for `seconds` before it answers", _DOOR, _GET | _PUT, ("seconds",), Options(seconds=1.0)
    ),
    "redirect-loop": Kind("the door redirects to itself", _DOOR, _GET | _PUT),
    "redirect-to": Kind("the server redirects to another origin, `to`", _DOOR + _ISSUER, _GET | _PUT | _POST, ("to",)),
    "expired-url": Kind("the pool's URL is used up: it sends clients back to the door", _POOL),
    "pool-down": Kind(
        "the door waits for a pool for `seconds`, then answers 500; or sends clients to a port that refuses them",
        _DOOR,
        _GET | _PUT,
        ("seconds", "refused"),
    ),
    "nearline": Kind(
        "files seem to be on tape; GET blocks for `seconds` (below 0: the patience of the door), then 500",
        _DOOR,
        frozenset({"GET", "PROPFIND"}),
        ("seconds",),
        Options(seconds=-1.0),
    ),
    "abandoned-upload": Kind("the pool drops an upload at its begin; an empty file stays", _POOL, _PUT),
    "corrupt-upload-stays": Kind(
        "one bit is flipped, the pool answers 400 Checksum mismatch, and the file stays", _POOL, _PUT
    ),
    "late-visibility": Kind(
        "a file that was uploaded since cannot be read yet: 404, or another status",
        _DOOR + _POOL + _STORAGE,
        frozenset({"GET", "HEAD", "PROPFIND"}),
        takes=("status",),
        defaults=Options(status=404),
    ),
    "wrong-digest": Kind("another checksum is told than the file has", _DOOR + _POOL + _STORAGE),
    "no-digest": Kind("no checksum is told", _DOOR + _POOL + _STORAGE),
    "wrong-size": Kind(
        "listings and HEAD tell a size that is wrong by `by`",
        _DOOR + _STORAGE,
        frozenset({"HEAD", "PROPFIND"}),
        ("by",),
    ),
    "broken-listing": Kind(
        "the XML of a listing ends after `after` bytes, the HTTP answer in good order",
        _DOOR + _STORAGE,
        frozenset({"PROPFIND"}),
        ("after", "announced"),
        Options(after=300, announced=False),
    ),
    "failed-copy": Kind(
        "the last line of a COPY says failure: the other side answered `status`; or it cannot be reached",
        _DOOR,
        frozenset({"COPY"}),
        ("status", "refused"),
        Options(status=500),
    ),
    "invalid-grant": Kind("the issuer takes a refresh token or a device code for a dead one", _ISSUER, _POST),
    "slow-down": Kind("the issuer tells a client whose login waits that it asks too often", _ISSUER, _POST),
    "redirect": Kind("the storage behind the service sends reads and writes to a pool", _STORAGE, _GET | _PUT),
    "crash": Kind(
        "the service dies: 503 for `seconds`, then some of the first simultaneous requests get 500",
        _SERVICES,
        takes=("seconds",),
        defaults=Options(seconds=30.0),
    ),
}
"""What each fault does, where, and what it takes."""


def check_options(name: FaultName, kind: Kind, given: FaultOptions) -> Options:
    """Return the options of a fault, filled up.

    Raises:
        ConfigError: For one that it does not take, or a value that means nothing.
    """
    types = {item.name: item.type for item in fields(Options)}
    for option, value in given.items():
        if option not in kind.takes:
            known = ", ".join(kind.takes) or "none"
            raise ConfigError(f"{name!r} has no option {option!r}", remedy=f"its options are: {known}")
        wanted = types[option]
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise ConfigError(f"{option} of {name!r} must be of type {getattr(wanted, '__name__', wanted)}")
    options = replace(kind.defaults, **given)
    for option in kind.takes:
        if wrong := _wrong_value(name, option, getattr(options, option)):
            raise ConfigError(f"{option} of {name!r} must {wrong}")
    if "to" in kind.takes and not _ORIGIN.fullmatch(options.to):
        raise ConfigError(f"{name!r} needs the option to", remedy="give an origin, like to='https://other.host:2880'")
    return options


def _wrong_value(name: FaultName, option: str, value: Any) -> str | None:
    """Return what a value must be, if it is not."""
    if isinstance(value, float) and math.isnan(value):
        return "be a number"
    match option:
        # A negative time is the patience of the door.
        case "after" | "seconds" if value < 0 and name != "nearline":
            return "be 0 or more"
        case "rate" if value < 1:
            return "be 1 or more"
        case "status" if not 400 <= value <= 599:
            return "be 400 to 599"
        case "retry_after" if math.isinf(value):
            return "be finite"
        case "by" if value < 1 and name == "longer-body":
            return "be 1 or more"
        case "by" if value == 0:
            return "not be 0"
    return None


def check_method(name: FaultName, kind: Kind, method: str) -> frozenset[str]:
    """Return the method that is to meet a fault.

    Raises:
        ConfigError: When there is no such method, or it cannot meet the fault.
    """
    upper = str(method).upper()
    if upper not in _METHODS:
        raise ConfigError(f"{method!r} is no method", remedy=f"use one of {', '.join(sorted(_METHODS))}")
    if kind.methods and upper not in kind.methods:
        raise ConfigError(f"{method} never meets {name!r}", remedy=f"use {' or '.join(sorted(kind.methods))}")
    return frozenset({upper})
