"""Faults that a test switches on by name, for some paths and so many times."""

import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypedDict, Unpack, cast, get_args

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
        refused: Whether clients are sent to a port where nobody listens, instead of an error of the door.
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
    servers: tuple[ServerName, ...] = ("door", "pool")
    methods: frozenset[str] = frozenset()
    takes: tuple[str, ...] = ()
    defaults: Options = field(default_factory=Options)


_GET, _PUT = frozenset({"GET"}), frozenset({"PUT"})
_CHANGES = frozenset({"PUT", "MKCOL", "MOVE", "DELETE"})
_METHODS = _CHANGES | {"GET", "HEAD", "PROPFIND", "PROPPATCH", "OPTIONS", "POST", "COPY", "LOCK", "UNLOCK"}
_ORIGIN = re.compile(r"https?://[^/?#@\s]+/?")
_DOOR: tuple[ServerName, ...] = ("door",)
_POOL: tuple[ServerName, ...] = ("pool",)
_BODY = "of the body on its way: a PUT's upwards, else the answer's"

KINDS: dict[FaultName, Kind] = {
    "unauthorized": Kind("401: the credential is refused; three of them within 20 s are a ban"),
    "forbidden": Kind("403: the credential is good, but does not allow this"),
    "not-found": Kind("404"),
    "too-many-requests": Kind("429", takes=("retry_after",)),
    "server-error": Kind("500, or another status", takes=("status",), defaults=Options(status=500)),
    "unavailable": Kind("503: shutting down", takes=("retry_after",)),
    "no-space": Kind("507: pools or quota are full", methods=_PUT),
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
    "lost-answer": Kind("what is asked for is done, then the connection is reset", _DOOR + _POOL, _CHANGES),
    "slow-redirect": Kind(
        "the door thinks for `seconds` before it answers", _DOOR, _GET | _PUT, ("seconds",), Options(seconds=1.0)
    ),
    "redirect-loop": Kind("the door redirects to itself", _DOOR, _GET | _PUT),
    "redirect-to": Kind("the door redirects to another origin, `to`", _DOOR, _GET | _PUT, ("to",)),
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
        methods=frozenset({"GET", "HEAD", "PROPFIND"}),
        takes=("status",),
        defaults=Options(status=404),
    ),
    "wrong-digest": Kind("another checksum is told than the file has"),
    "no-digest": Kind("no checksum is told"),
    "wrong-size": Kind(
        "listings and HEAD tell a size that is wrong by `by`", _DOOR, frozenset({"HEAD", "PROPFIND"}), ("by",)
    ),
    "broken-listing": Kind(
        "the XML of a listing ends after `after` bytes, the HTTP answer in good order",
        _DOOR,
        frozenset({"PROPFIND"}),
        ("after", "announced"),
        Options(after=300, announced=False),
    ),
}
"""What each fault does, where, and what it takes."""


class Fault:
    """A fault that is switched on.

    Attributes:
        name: Which one.
        path: The pattern of the paths that it meets.
        options: What it was told.
        since: When it was switched on, on the monotonic clock.
    """

    def __init__(
        self,
        name: FaultName,
        *,
        path: str,
        methods: frozenset[str],
        servers: tuple[ServerName, ...],
        times: int | None,
        options: Options,
    ) -> None:
        self.name: FaultName = name
        self.path = path
        self.options = options
        self.since = time.monotonic()
        self._pattern = re.compile(_regex(path))
        self._methods = methods
        self._servers = servers
        self._left = times
        self._hits = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Fault {self.name} {self.path} hits={self.hits}>"

    @property
    def hits(self) -> int:
        """How many times it struck."""
        return self._hits

    def meets(self, server: ServerName, method: str, path: str) -> bool:
        """Tell whether it may strike a request."""
        return (
            self._left != 0
            and server in self._servers
            and (not self._methods or method in self._methods)
            and self._pattern.fullmatch(path) is not None
        )

    def strike(self) -> bool:
        """Count one more time that it strikes; False when it has done so often enough."""
        with self._lock:
            if self._left == 0:
                return False
            self._left = None if self._left is None else self._left - 1
            self._hits += 1
            return True


class Faults:
    """The faults of a data centre. Thread-safe; they strike in the order in which they were added."""

    def __init__(self) -> None:
        self._active: tuple[Fault, ...] = ()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._active)

    def __len__(self) -> int:
        return len(self._active)

    def add(
        self,
        name: FaultName,
        *,
        path: str = "/**",
        method: str | None = None,
        server: ServerName | None = None,
        times: int | None = None,
        **options: Unpack[FaultOptions],
    ) -> Fault:
        """Switch a fault on and return it; `KINDS` tells what each does and takes.

        Args:
            name: Which one.
            path: The paths that it meets: `*` stands for any characters of a name, `**` for any at all.
            method: The HTTP method that meets it, None for all that can.
            server: `"door"` or `"pool"`, None for whichever can have it first.
            times: How many times it strikes, None for always.
            **options: As in `FaultOptions`.

        Raises:
            ConfigError: For an unknown name or option, or a value that means nothing.
        """
        if name not in get_args(FaultName):
            raise ConfigError(f"unknown fault {name!r}", remedy=f"use one of {', '.join(get_args(FaultName))}")
        kind = KINDS[name]
        if server is not None and server not in kind.servers:
            raise ConfigError(f"{name!r} is no fault of {server!r}", remedy=f"use {' or '.join(kind.servers)}")
        if not isinstance(path, str) or not path.startswith(("/", "**")):
            raise ConfigError(f"{path!r} is the path of nothing", remedy="paths begin with / or **")
        methods = kind.methods if method is None else _methods(name, kind, method)
        if times is not None and (type(times) is not int or times < 1):
            raise ConfigError(f"{name!r} cannot strike {times} times", remedy="use 1 or more, or None for always")
        fault = Fault(
            name,
            path=path,
            methods=methods,
            servers=(server,) if server else kind.servers,
            times=times,
            options=_options(name, kind, options),
        )
        with self._lock:
            self._active = (*self._active, fault)
        return fault

    def add_text(self, text: str) -> Fault:
        """Switch on a fault that is written as `name:argument=value,...`, as on a command line.

        Raises:
            ConfigError: As `add`.

        >>> Faults().add_text("reset:path=/lst/**,times=2,after=1000")
        <Fault reset /lst/** hits=0>
        """
        name, _, rest = text.partition(":")
        arguments: dict[str, Any] = {}
        for item in filter(None, rest.split(",")):
            key, equals, value = item.partition("=")
            if not equals:
                raise ConfigError(f"{item!r} of the fault {name!r} is no argument=value")
            arguments[key] = _value(key, value)
        return self.add(cast("FaultName", name), **arguments)

    def remove(self, fault: Fault) -> None:
        """Switch a fault off; one that is off already is fine."""
        with self._lock:
            self._active = tuple(other for other in self._active if other is not fault)

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._active = ()

    @contextmanager
    def during(self, fault: Fault) -> Iterator[Fault]:
        """Switch a fault off at the end of a block."""
        try:
            yield fault
        finally:
            self.remove(fault)

    def meeting(self, server: ServerName, method: str, path: str) -> list[Fault]:
        """Return the faults that may strike a request."""
        return [fault for fault in self._active if fault.meets(server, method, path)]


def _options(name: FaultName, kind: Kind, given: FaultOptions) -> Options:
    """Check the options of a fault and fill them up."""
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


def _methods(name: FaultName, kind: Kind, method: str) -> frozenset[str]:
    """Return the method that is meant, if there is such a one and it can meet the fault."""
    upper = str(method).upper()
    if upper not in _METHODS:
        raise ConfigError(f"{method!r} is no method", remedy=f"use one of {', '.join(sorted(_METHODS))}")
    if kind.methods and upper not in kind.methods:
        raise ConfigError(f"{method} never meets {name!r}", remedy=f"use {' or '.join(sorted(kind.methods))}")
    return frozenset({upper})


def _value(key: str, text: str) -> object:
    """Return the value of an argument from its text."""
    kind = int if key == "times" else next((item.type for item in fields(Options) if item.name == key), str)
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return int(text) if kind is int else float(text) if kind is float else text
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{key} cannot be {text!r}") from error


def _regex(pattern: str) -> str:
    """Return the regular expression of a path pattern.

    >>> [bool(re.fullmatch(_regex("/a/*.fits"), path)) for path in ("/a/b.fits", "/a/b/c.fits")]
    [True, False]
    >>> [bool(re.fullmatch(_regex("/a/**"), path)) for path in ("/a", "/a/b/c", "/ab")]
    [True, True, False]
    """
    below = pattern.endswith("/**")
    marks = re.split(r"(\*\*|\*)", pattern.removesuffix("/**") if below else pattern)
    text = "".join({"**": ".*", "*": "[^/]*"}.get(mark) or re.escape(mark) for mark in marks)
    return f"(?s:{text}{'(/.*)?' if below else ''})"
