"""One name for one file in Airflow: assets, lineage and OpenLineage."""

from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from airflow.sdk import Asset

from ctadata_providers import uri

_SCHEME = "cta"


def asset_uri(address: str) -> str:
    """Return the URI of a file in Airflow: its canonical address, percent-encoded, without a connection.

    Args:
        address: A `cta://` address or plain path, taken literally.

    Raises:
        ConfigError: When the address cannot be used.
    """
    inner = uri.parse(address).path.strip("/")
    return f"{_SCHEME}://{quote(inner, safe='/')}"


def address_of(asset_uri: str) -> str:
    """Return the canonical address of what an asset's URI names.

    Raises:
        ConfigError: When it is no such URI.
    """
    parts = urlsplit(asset_uri)
    return uri.format_uri(uri.parse(f"{_SCHEME}:///{unquote(parts.netloc)}{unquote(parts.path)}").path)


def cta_asset(address: str, *, extra: dict[str, Any] | None = None) -> Asset:
    """Return the asset of a file or folder.

    Args:
        address: A `cta://` address or plain path, taken literally: `#`, `?`, `%` and blanks are parts of names.
        extra: What is told of it beside, such as the instance.
    """
    return Asset(uri=asset_uri(address), extra=extra)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Make the URI of an asset canonical; Airflow calls this for `Asset("cta://...")`.

    Airflow itself cuts a bare `#` or `?` with all behind it, and nobody else hears of that: names with them are written
    as `%23` and `%3F`, which `cta_asset` does.

    Raises:
        ValueError: When nothing is named, or there is a query.
    """
    if uri.query:
        raise ValueError(f"a {_SCHEME} asset has a bare '?': write it as %3F, or use cta_asset")
    netloc = uri.netloc.rpartition("@")[2]  # a connection tells how to reach a file, not which one it is
    # Behind a connection, `ObjectStoragePath` writes the whole path: cta://name@/first/rest.
    elements = [netloc, *uri.path.split("/")[1:]] if netloc else uri.path.split("/")[1:]
    if not elements or not elements[0]:
        raise ValueError(f"a {_SCHEME} asset must name a file as {_SCHEME}://first/rest")
    first, *rest = (quote(unquote(element), safe="") for element in elements)
    return uri._replace(netloc=first, path="".join(f"/{element}" for element in rest) if any(rest) else "")


def create_asset(*, address: str, extra: dict[str, Any] | None = None) -> Asset:
    """Make the asset of a file; Airflow's hook lineage calls this for the scheme `cta`."""
    return cta_asset(address, extra=extra)


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Any:
    """Return the OpenLineage dataset of an asset: the namespace is the scheme with the first element, as for S3."""
    from airflow.providers.common.compat.openlineage.facet import Dataset  # type: ignore[import-not-found]  # a namespace

    first, _, rest = address_of(asset.uri).removeprefix(f"{_SCHEME}://").partition("/")
    return Dataset(namespace=f"{_SCHEME}://{first}", name=rest or "/")
