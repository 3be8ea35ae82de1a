"""The user's own folder, guessed from a token and confirmed by the door."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from ctadata_providers.credentials.tokens import Token
from ctadata_providers.errors import ConfigError, NotADirError, NotFoundError, PermissionDeniedError

TOPS = ("/lst", "/cta")
"""The folders of the data centre that have `users` in them."""
_WRITING = ("storage.create:", "storage.modify:")


@dataclass(frozen=True, slots=True)
class Home:
    """The user's own folder.

    Attributes:
        path: Where it is.
        how: How that is known.
    """

    path: str
    how: str


def find_home(token: Token | None, is_folder: Callable[[str], bool]) -> Home:
    """Return the user's own folder, the first possible one that exists.

    Args:
        token: Says who the user is.
        is_folder: Asks the door.

    Raises:
        ConfigError: When there is none.
        CtaError: What `is_folder` raises, but for its telling that there is none, or none for this user.
    """
    tried = []
    for home in possible_homes(token) if token else ():
        with suppress(NotFoundError, NotADirError, PermissionDeniedError):
            if is_folder(home.path):
                return home
        tried.append(home.path)
    if tried:
        raise ConfigError(f"none of {', '.join(tried)} is a folder", remedy="set home (CTA_HOME) to your own folder")
    what = "the token does not tell who you are" if token else "a certificate or nothing does not tell who you are"
    raise ConfigError(what, remedy="set home (CTA_HOME) to your own folder, e.g. /lst/users/alice")


def possible_homes(token: Token) -> Iterator[Home]:
    """Give where the folder may be: what the token allows to write, then the folders with the user's name."""
    seen = set()
    for home in (*_of_scopes(token), *_of_names(token)):
        if home.path not in seen:
            seen.add(home.path)
            yield home


def _of_scopes(token: Token) -> Iterator[Home]:
    for scope in sorted(token.scopes or ()):
        parts = scope.partition(":")[2].rstrip("/").split("/")
        if scope.startswith(_WRITING) and len(parts) > 2 and parts[-2] == "users":
            yield Home("/".join(parts), f"the token's scope {scope}")


def _of_names(token: Token) -> Iterator[Home]:
    for what, name in (("user name", token.username), ("subject", token.subject)):
        for top in TOPS if name else ():
            yield Home(f"{top}/users/{fragment(name or '')}", f"the token's {what} {name}")


def fragment(name: str) -> str:
    """Return the name of a user's folder, by the rule of the CTA services.

    >>> fragment("Alice.B2")
    'alice_b_'
    """
    return "".join(c if c in "01abcdefghijklmnopqrstuvwxyz" else "_" for c in name.lower())
