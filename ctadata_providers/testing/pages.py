"""What the door shows of folders and errors, as HTML, metalink (RFC 5854) or text."""

from collections.abc import Iterable, Mapping
from html import escape

from ctadata_providers.testing.entries import Entry
from ctadata_providers.testing.exchange import quote_path

METALINK = "application/metalink4+xml"
QUOTA_EXCEEDED = '<?xml version="1.0" encoding="utf-8" ?>\n<D:error xmlns:D="DAV:"><D:quota-not-exceeded/></D:error>\n'

_PLAIN, _HTML = "text/plain", "text/html"


def folder_page(folder: Entry, children: Iterable[Entry]) -> str:
    """Return a folder as a web page."""
    names = sorted(f"{child.name}/" if child.is_dir else child.name for child in children)
    rows = "".join(f'<li><a href="{quote_path(name)}">{escape(name)}</a></li>\n' for name in names)
    return f"<!DOCTYPE html>\n<title>{escape(folder.path)}</title>\n<ul>\n{rows}</ul>\n"


def metalink(door_url: str, children: Iterable[Entry]) -> str:
    """Return the files of a folder as a metalink."""
    files = "".join(
        f'  <file name="{escape(child.name)}">\n    <size>{child.size}</size>\n'
        f"    <url>{escape(door_url + quote_path(child.path))}</url>\n  </file>\n"
        for child in sorted(children, key=lambda child: child.name)
        if child.size is not None
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<metalink xmlns="urn:ietf:params:xml:ns:metalink">\n{files}</metalink>\n'
    )


def wants_metalink(query: Mapping[str, str], accept: str) -> bool:
    """Tell whether a folder is wanted as a metalink."""
    return query.get("type") == "metalink" or METALINK in accept


def error_page(status: int, text: str, accept: str) -> tuple[str, str]:
    """Return body and content type of an error: one line of text, or HTML for those who like that better."""
    liked = dict(map(_weighed, accept.split(",")))
    html = liked.get(_HTML, liked.get("text/*", 0.0))
    plain = liked.get(_PLAIN, liked.get("text/*", liked.get("*/*", 0.0)))
    if html > plain:
        return f"<!DOCTYPE html>\n<title>{status}</title>\n<p>{escape(text)}</p>\n", _HTML
    return f"{text}\n", _PLAIN


def _weighed(item: str) -> tuple[str, float]:
    """Return a media range of an Accept header and its weight.

    >>> _weighed("text/html;q=0.5"), _weighed(" */*")
    (('text/html', 0.5), ('*/*', 1.0))
    """
    kind, _, rest = item.strip().lower().partition(";")
    try:
        return kind.strip(), float(rest.strip().removeprefix("q=") or 1)
    except ValueError:
        return kind.strip(), 1.0
