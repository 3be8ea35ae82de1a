"""What the services make of a user's name and of a path."""

import re
from urllib.parse import unquote

from ctadata_providers.testing.exchange import normalise

UPLOAD_FOLDERS = ("lst", "cta")
CERTIFICATE_KEYS = ("lst", "cta", "arc")
OTHER_KEY = "arc"

# requests leaves every `%` as it is when one of them begins no escape that could be meant.
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})[0-9A-Za-z]{2}")


def fragment(name: str) -> str:
    """Return the name of a user's folder; the digits from 2 to 9 are no good, either.

    >>> fragment("Alice.B-2")
    'alice_b__'
    """
    return re.sub("[^0-1a-z]", "_", name.lower())


def certificate_key(path: str) -> str:
    """Return which certificate of a user is needed for a path.

    >>> [certificate_key(path) for path in ("lst/DL3/x", "cta", "users/x", "")]
    ['lst', 'cta', 'arc', 'arc']
    """
    first = path.strip("/").partition("/")[0]
    return first if first in UPLOAD_FOLDERS else OTHER_KEY


def may_write(name: str, path: str) -> bool:
    """Tell whether a path lies in a folder of the user; that folder itself only does with its slash."""
    return path.startswith(tuple(f"{folder}/users/{fragment(name)}/" for folder in UPLOAD_FOLDERS))


def stored_path(path: str) -> tuple[str, str | None]:
    """Return the path at the storage, and why it cannot be used, if so.

    The services paste what they have decoded once into a URL, so that it is decoded a second time, and ends at `#`
    and `?`.

    >>> stored_path("lst/a%23b"), stored_path("lst/a#b")
    (('/lst/a#b', None), ('/lst/a', None))
    """
    meant = path.partition("#")[0].partition("?")[0]
    if _NO_ESCAPE.search(meant):
        meant = meant.replace("%", "%25")
    return normalise(meant)


def decoded(raw: str) -> str:
    """Return a path as the services see it: decoded once."""
    return unquote(raw, errors="replace")
