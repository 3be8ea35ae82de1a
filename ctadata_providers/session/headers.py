"""The header of an answer, the same for both stacks."""

from collections.abc import Iterable


def fields(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the values of a header by their names in lower case.

    What comes several times is one list, as RFC 9110 section 5.3 wants it; but for a Location, which cannot be one:
    several that differ are none.

    >>> fields([("Digest", "md5=x"), ("digest", "adler32=y"), ("Location", "/a"), ("Location", "/b")])
    {'digest': 'md5=x, adler32=y', 'location': ''}
    """
    found: dict[str, str] = {}
    for given, value in pairs:
        name = given.strip().lower()
        known = found.get(name)
        if known is None or known == value:
            found[name] = value
        else:
            found[name] = "" if name == "location" else f"{known}, {value}"
    return found
