"""The header of an answer, the same for both stacks."""

import re
from collections.abc import Iterable, Sequence

_CODE = re.compile(r"[0-9]{3}")


def fields(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the values of a header by their names in lower case.

    What comes several times is one list, as RFC 9110 section 5.3 wants it; but for a Location, which cannot be one:
    several that differ are none.

    >>> fields([("Digest", "md5=x"), ("digest", "adler32=y"), ("Location", "/a"), ("Location", "/b")])
    {'digest': 'md5=x, adler32=y', 'location': ''}
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        _take(found, name, value)
    return found


def head_of(lines: Sequence[bytes]) -> tuple[int, str, dict[str, str]]:
    r"""Return status, reason and header of the last answer among some lines; earlier ones are interim.

    >>> head_of([b"HTTP/1.1 201 Created\r\n", b"A: b\r\n", b"\r\n"])
    (201, 'Created', {'a': 'b'})
    """
    first = 0
    for number in range(len(lines) - 1, 0, -1):
        if lines[number - 1] in _ENDS and lines[number].startswith(b"HTTP/"):
            first = number
            break
    status, *texts = b"".join(lines[first:]).decode("latin-1").replace("\r\n", "\n").split("\n")
    code, reason = [*status.split(" ", 2), "", "", ""][1:3]
    header: dict[str, str] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if colon:
            _take(header, name, value.strip())
        elif not text:
            break
    return int(code) if _CODE.fullmatch(code) else 0, reason.rstrip("\r"), header


_ENDS = (b"\r\n", b"\n")


def _take(header: dict[str, str], given: str, value: str) -> None:
    name = given.strip().lower()
    known = header.setdefault(name, value)
    if known is not value and known != value:
        header[name] = "" if name == "location" else f"{known}, {value}"
