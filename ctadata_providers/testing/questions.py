"""The XML that clients send: PROPFIND and PROPPATCH bodies (RFC 4918)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from xml.parsers import expat

DAV = "DAV:"

Name = tuple[str, str]
"""Namespace and local name of a property."""


class BadQuestionError(ValueError):
    """The body of a request cannot be understood."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a PROPFIND asks for.

    Attributes:
        kind: All properties, their names only, or those named.
        names: The properties that are named.
    """

    kind: Literal["allprop", "propname", "prop"]
    names: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One property that a PROPPATCH sets, or removes when there is no value."""

    name: Name
    value: str | None


def parse_propfind(body: bytes) -> Question:
    """Read the body of a PROPFIND; an empty one asks for everything (RFC 4918, 9.1).

    Raises:
        BadQuestionError: When it is no well-formed `propfind` element, or carries a DOCTYPE.
    """
    if not body.strip():
        return Question("allprop")
    found: list[tuple[Name, ...]] = []
    _read(body, "propfind", lambda path, _: found.append(path))
    # Elements end from the inside to the outside; what is asked for has the order in which it stands.
    if any(path[1:] == ((DAV, "propname"),) for path in found):
        return Question("propname")
    named = tuple(dict.fromkeys(path[2] for path in found if len(path) == 3 and path[1] == (DAV, "prop")))
    return Question("prop", named) if any(path[1:] == ((DAV, "prop"),) for path in found) else Question("allprop")


def parse_proppatch(body: bytes) -> list[Change]:
    """Read the body of a PROPPATCH.

    Raises:
        BadQuestionError: When it is no well-formed `propertyupdate` element, or carries a DOCTYPE.
    """
    changes: list[Change] = []

    def take(path: tuple[Name, ...], text: str) -> None:
        match path[1:]:
            case ((space, "set"), (other, "prop"), name) if space == other == DAV:
                changes.append(Change(name, text))
            case ((space, "remove"), (other, "prop"), name) if space == other == DAV:
                changes.append(Change(name, None))

    _read(body, "propertyupdate", take)
    return changes


def _read(body: bytes, root: str, take: Callable[[tuple[Name, ...], str], None]) -> None:
    """Give the path and the text of each element at its end."""
    opened: list[Name] = []
    texts: list[list[str]] = []

    def start(name: str, _: object) -> None:
        space, _, local = name.rpartition("\n")
        opened.append((space, local))
        texts.append([])
        if opened[0] != (DAV, root):
            raise BadQuestionError(f"not a {root} element")

    def end(_: str) -> None:
        take(tuple(opened), "".join(texts.pop()))
        opened.pop()

    def refuse(*_: object) -> None:
        raise BadQuestionError("a DOCTYPE is not allowed")

    parser = expat.ParserCreate(namespace_separator="\n")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda text: texts[-1].append(text)
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise BadQuestionError(f"not well-formed: {error}") from error
