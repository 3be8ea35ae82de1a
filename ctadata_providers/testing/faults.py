"""Faults that a test switches on by name, for some paths and so many times."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Unpack, cast, get_args

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.fault_kinds import (
    KINDS,
    FaultName,
    FaultOptions,
    Kind,
    Options,
    check_method,
    check_options,
)
from ctadata_providers.testing.requestlog import ServerName


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

    def meets(self, server: ServerName, method: str, *paths: str) -> bool:
        """Tell whether it may strike a request, which may be known by several paths."""
        return (
            self._left != 0
            and server in self._servers
            and (not self._methods or method in self._methods)
            and any(map(self._pattern.fullmatch, paths))
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
    """The faults of some servers. Thread-safe; they strike in the order in which they were added.

    Args:
        servers: Which servers.
        behind: Those that no client asks, or none for its files: they have only faults that name them, or that no
            other server can have.
    """

    def __init__(self, servers: tuple[ServerName, ...] = ("door", "pool"), behind: tuple[ServerName, ...] = ()) -> None:
        self._servers = servers
        self._behind = behind
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
            server: `"door"` or `"pool"`, with the services also `"downloadservice"`, `"certificateservice"`, `"hub"` or
                `"storage"`, the one behind them; None for whichever of door, pool and downloadservice can have it
                first. An issuer has faults of its own.
            times: How many times it strikes, None for always.
            **options: As in `FaultOptions`.

        Raises:
            ConfigError: For an unknown name or option, or a value that means nothing.
        """
        if name not in get_args(FaultName):
            raise ConfigError(f"unknown fault {name!r}", remedy=f"use one of {', '.join(get_args(FaultName))}")
        kind = KINDS[name]
        servers = self._choose(name, kind, server)
        if not isinstance(path, str) or not path.startswith(("/", "**")):
            raise ConfigError(f"{path!r} is the path of nothing", remedy="paths begin with / or **")
        methods = kind.methods if method is None else check_method(name, kind, method)
        if times is not None and (type(times) is not int or times < 1):
            raise ConfigError(f"{name!r} cannot strike {times} times", remedy="use 1 or more, or None for always")
        fault = Fault(
            name,
            path=path,
            methods=methods,
            servers=servers,
            times=times,
            options=check_options(name, kind, options),
        )
        with self._lock:
            self._active = (*self._active, fault)
        return fault

    def _choose(self, name: FaultName, kind: Kind, server: ServerName | None) -> tuple[ServerName, ...]:
        """Return the servers that a fault is to meet."""
        known = (*self._servers, *self._behind)
        possible = tuple(one for one in kind.servers if one in known)
        if not possible or (server is not None and server not in possible):
            wrong = " or ".join(map(repr, [server] if server else known))
            raise ConfigError(f"{name!r} is no fault of {wrong}", remedy=f"use {' or '.join(kind.servers)}")
        if server is not None:
            return (server,)
        return tuple(one for one in possible if one in self._servers) or possible

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

    def meeting(self, server: ServerName, method: str, *paths: str) -> list[Fault]:
        """Return the faults that may strike a request, which may be known by several paths."""
        return [fault for fault in self._active if fault.meets(server, method, *paths)]


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
