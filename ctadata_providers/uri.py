"""Addresses: between `cta://` text and absolute paths."""

import re
import unicodedata
from dataclasses import dataclass

from ctadata_providers.errors import ConfigError

SCHEME = "cta://"
_USUAL = re.compile(r"cta://((?:[\w-][\w.+=,-]*/)*[\w-][\w.+=,-]*)(/?)", re.ASCII)
"""Addresses that hide nothing: most are so, and a workflow has many thousands."""
_ONE_SLASH = re.compile(r"cta:(?!//)/?")
_OTHER_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address.

    Attributes:
        path: Absolute, POSIX, without a trailing slash but for the root `/`.
        name: The profile (in Airflow the connection) named before `@`, if any.
        is_folder: True when the text ended in `/`.
    """

    path: str
    name: str | None = None
    is_folder: bool = False

    @property
    def uri(self) -> str:
        """The canonical address of the file or folder, without `name`."""
        return format_uri(self.path, folder=self.is_folder)


def is_uri(text: str) -> bool:
    """Tell whether a text is a `cta://` address.

    >>> is_uri("cta://lst/DL3"), is_uri("/lst/DL3")
    (True, False)
    """
    return text.startswith(SCHEME)


def parse(text: str) -> Address:
    """Parse a `cta://` address or a plain path, both literal (no percent-decoding).

    Raises:
        ConfigError: For an empty inner name, a segment `.` or `..`, a control character, another scheme, or one
            slash behind `cta:`.

    >>> parse("cta://dev@/lst/a") == parse("cta://dev@lst/a")
    True
    >>> parse("cta://dev@lst/a b#1/")
    Address(path='/lst/a b#1', name='dev', is_folder=True)
    >>> parse("lst/DL3").path
    '/lst/DL3'
    """
    usual = _USUAL.fullmatch(text)
    if usual:
        return Address(path=f"/{usual[1]}", is_folder=bool(usual[2]))
    name: str | None = None
    rest = text
    if is_uri(text):
        rest = text[len(SCHEME) :]
        first, slash, below = rest.partition("/")
        if "@" in first:
            name, _, first = first.partition("@")
            if segment_fault(name):
                raise _refused(text, "the name before '@' is empty or has control characters")
            rest = first + slash + below
    elif _OTHER_SCHEME.match(text):
        raise _refused(text, "only cta:// addresses and plain paths are understood")
    else:
        refuse_one_slash(text)
    return Address(path=_checked(text, rest), name=name, is_folder=rest.endswith("/") or not rest)


def refuse_one_slash(text: str) -> None:
    """Refuse an address that has lost a slash, as `str(Path("cta://lst/x"))` does: it would be a folder named `cta:`.

    Raises:
        ConfigError: For `cta:/lst/x` and `cta:lst/x`.

    >>> refuse_one_slash("/cta:/x")
    """
    torn = _ONE_SLASH.match(text)
    if torn:
        raise ConfigError(
            f"not a usable address: {text!r}: two slashes belong behind 'cta:'",
            path=text,
            remedy=f"write {SCHEME}{text[torn.end() :]}; a folder of the name 'cta:' by its absolute path",
        )


def parse_path(text: str) -> str:
    """Return the absolute path of an address or plain path that carries no `name@`.

    Raises:
        ConfigError: As `parse`, and when the address names a profile or connection.
    """
    address = parse(text)
    if address.name is not None:
        raise _refused(text, f"it names '{address.name}@' where the profile or connection is already chosen")
    return address.path


def format_uri(path: str, *, folder: bool = False, name: str | None = None) -> str:
    """Return the canonical address of an absolute path; with the name of a profile or connection where one is given.

    >>> format_uri("/lst/DL3", folder=True)
    'cta://lst/DL3/'
    >>> format_uri("/a@b/c"), format_uri("/a@b/c", name="dev")
    ('cta:///a@b/c', 'cta://dev@a@b/c')
    """
    inner = path.strip("/")
    if name is not None:
        return f"{SCHEME}{name}@{inner}{'/' if folder and inner else ''}"
    slash = "/" if not inner or "@" in inner.partition("/")[0] else ""
    return f"{SCHEME}{slash}{inner}{'/' if folder and inner else ''}"


def join(folder: str, name: str) -> str:
    """Return the path of an entry of a folder.

    Raises:
        ConfigError: When the name could leave the folder.

    >>> join("/", "lst")
    '/lst'
    """
    reason = segment_fault(name)
    if reason:
        raise _refused(f"{folder}/{name}", reason)
    return f"{'' if folder == '/' else folder}/{name}"


def split(path: str) -> tuple[str, str]:
    """Return parent folder and name of an absolute path.

    >>> split("/lst/DL3"), split("/lst")
    (('/lst', 'DL3'), ('/', 'lst'))
    """
    parent, _, name = path.rpartition("/")
    return parent or "/", name


def segment_fault(name: str) -> str | None:
    """Return why a name cannot be a path segment, or None if it can.

    >>> segment_fault("a..b") is None
    True
    """
    if not name:
        return "an inner name is empty ('//')"
    if name in (".", ".."):
        return f"the segment '{name}' is not allowed"
    if "/" in name:
        return "a name cannot contain '/'"
    if not name.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return "control characters and undecodable bytes are not allowed"
    return None


def _checked(text: str, rest: str) -> str:
    """Return the absolute path of what follows scheme and name, or refuse it."""
    inner = rest.removeprefix("/").removesuffix("/")
    if not inner:
        if rest.strip("/") == "" and len(rest) > 1:
            raise _refused(text, "an inner name is empty ('//')")
        return "/"
    for segment in inner.split("/"):
        reason = segment_fault(segment)
        if reason:
            raise _refused(text, reason)
    return "/" + inner


def _refused(text: str, reason: str) -> ConfigError:
    return ConfigError(
        f"not a usable address: {text!r}: {reason}",
        path=text,
        remedy="write cta://first/rest or a plain path such as lst/DL3/file.fits",
    )
