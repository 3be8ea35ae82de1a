"""Queries: the text of a `cta://` address, with or without wildcards.

The core is imported by the functions, not by the module: Snakemake imports every plugin at every start, and that must
neither cost much nor fail.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

# The interface ships no py.typed.
from snakemake_interface_storage_plugins.io import WILDCARD_REGEX, get_constant_prefix  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from ctadata_providers.uri import Address

SCHEME = "cta://"
_REMEDY = 'write storage.cta("cta://lst/…")'


@lru_cache(maxsize=100_000)
def fault(query: str) -> str | None:
    """Return why a text cannot be a query and what to write, or None if it can; wildcards stand for any good name."""
    if not query.startswith(SCHEME):
        return f"it does not start with {SCHEME}; {_REMEDY}, or --default-storage-prefix cta://lst/…"
    # A constraint is a regular expression: a '..' or '//' in it says nothing about the names that it matches.
    text = WILDCARD_REGEX.sub(lambda match: f"{{{match['name']}}}", query) if "{" in query else query
    reason = _fault(text)
    return None if reason is None else f"{reason}; {_REMEDY}"


def _fault(text: str) -> str | None:
    try:
        address = parse(text)
    except ValueError as error:  # `ConfigError`, whose own remedy names plain paths, too
        return str(getattr(error, "message", error))
    if address.path == "/":
        return "the root folder cannot be an input or output; name a file or folder below it"
    return None


def has_wildcards(query: str) -> bool:
    """Tell whether a query stands for more than one address."""
    return "{" in query and WILDCARD_REGEX.search(query) is not None


@lru_cache(maxsize=100_000)
def parse(query: str) -> "Address":
    """Parse a query without wildcards.

    Raises:
        ConfigError: When it is not a usable address.
    """
    from ctadata_providers import uri

    return uri.parse(query)


@lru_cache(maxsize=100_000)
def local_suffix(query: str) -> str:
    """Return where the local copy lies below the local prefix.

    It is the literal text, so that wildcards mean the same in both. Two addresses have the same suffix only if they
    name the same file of the same profile: a first element that contains `@` without being behind a profile goes below
    a folder `@`, which no profile can be called.

    >>> local_suffix("cta://lst/a.fits"), local_suffix("cta:///lst/a.fits")
    ('lst/a.fits', 'lst/a.fits')
    >>> local_suffix("cta://dev@lst/a.fits"), local_suffix("cta:///dev@lst/a.fits")
    ('dev@lst/a.fits', '@/dev@lst/a.fits')
    """
    text = query.removeprefix(SCHEME).removesuffix("/")
    if not text.startswith("/"):
        return text
    text = text[1:]
    return f"@/{text}" if "@" in text.partition("/")[0] else text


@lru_cache(maxsize=100_000)
def folder_suffix(query: str) -> str:
    """Return the local suffix of the folder that a query lies in; Snakemake asks for it some ten times of each object.

    >>> folder_suffix("cta://lst/DL3/a.fits"), folder_suffix("cta://dev@lst/DL3/a.fits")
    ('lst/DL3', 'dev@lst/DL3')
    >>> folder_suffix("cta://lst"), folder_suffix("cta:///dev@lst"), folder_suffix("cta://dev@lst")
    ('', '', 'dev@')
    """
    folder = local_suffix(query).rpartition("/")[0]
    if folder not in ("", "@"):
        return folder
    return local_suffix(of_path("/", parse(query).name))


def of_path(path: str, profile: str | None) -> str:
    """Return the query that names a path of a profile."""
    from ctadata_providers import uri

    return uri.format_uri(path) if profile is None else f"{SCHEME}{profile}@{path.removeprefix('/')}"


def constant_folder(pattern: str) -> tuple[str, str]:
    """Split the text before the first wildcard into the query of a folder and the beginning of a name.

    >>> constant_folder("cta://lst/DL3/run_{run}.fits")
    ('cta://lst/DL3/', 'run_')
    >>> constant_folder("cta://dev@{site}/DL3")
    ('cta://dev@', '')
    """
    prefix: str = get_constant_prefix(pattern)
    end = prefix.rindex("/") + 1
    if end == len(SCHEME) and "@" in prefix:
        end = prefix.index("@") + 1
    return prefix[:end], prefix[end:]


def below(folder: str, paths: Iterator[str]) -> Iterator[str]:
    """Yield the queries of paths below a folder, in that folder's own spelling.

    A path that this spelling cannot express (below `cta://` a first element that contains `@`) is left out.
    """
    base = parse(folder).path
    for path in paths:
        query = folder + path[len(base) :].removeprefix("/")
        if parse(query).path == path:
            yield query
