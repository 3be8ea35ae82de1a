"""Digest and Repr-Digest headers as dCache writes them (RFC 3230, RFC 9530), from stored checksums."""

import base64
from collections.abc import Mapping

from ctadata_providers.checksum import ALGORITHMS

# dCache 12.
_REPR_ALGORITHMS = ("sha-256", "sha-512")


def digest_value(algorithm: str, checksum: str) -> str:
    """Return `name=value` of a checksum: adler32 in hexadecimal, the others in base64.

    >>> digest_value("adler32", "062c0215"), digest_value("md5", "5d41402abc4b2a76b9719d911017c592")
    ('adler32=062c0215', 'md5=XUFAKrxLKna5cZ2REBfFkg==')
    """
    if algorithm == "adler32":
        return f"adler32={checksum}"
    return f"{algorithm}={base64.b64encode(bytes.fromhex(checksum)).decode()}"


def wanted_algorithms(want_digest: str | None) -> list[str]:
    """Return the algorithms of a Want-Digest header that are known, the most wanted first.

    >>> wanted_algorithms("md5;q=0.3, ADLER32, crc32c, sha;q=0")
    ['adler32', 'md5']
    """
    weighed: list[tuple[float, int, str]] = []
    for item in (want_digest or "").split(","):
        name, _, quality = item.strip().lower().partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        if name in ALGORITHMS and weight > 0:
            weighed.append((-weight, len(weighed), name))
    return [name for _, _, name in sorted(weighed)]


def digest_header(want_digest: str | None, checksums: Mapping[str, str]) -> dict[str, str]:
    """Return the Digest header that answers a Want-Digest header; none if no wanted checksum is stored."""
    for name in wanted_algorithms(want_digest):
        if name in checksums:
            return {"Digest": digest_value(name, checksums[name])}
    return {}


def repr_digest_header(want_repr_digest: str, checksums: Mapping[str, str]) -> dict[str, str]:
    """Return the Repr-Digest header (RFC 9530) that answers Want-Repr-Digest, of which the weights are integers.

    >>> repr_digest_header("sha-256=1, md5=10", {"md5": "00", "sha-256": "ff" * 32})
    {'Repr-Digest': 'sha-256=://////////////////////////////////////////8=:'}
    """
    weighed = []
    for item in want_repr_digest.split(","):
        name, _, weight = item.strip().lower().partition("=")
        if name in _REPR_ALGORITHMS and name in checksums and weight.isdecimal() and int(weight):
            weighed.append((-int(weight), name))
    if not weighed:
        return {}
    name = min(weighed)[1]
    return {"Repr-Digest": f"{name}=:{base64.b64encode(bytes.fromhex(checksums[name])).decode()}:"}


def all_digests(checksums: Mapping[str, str]) -> str:
    """Return all checksums in one value, as in dCache's `Checksums` property."""
    return ",".join(digest_value(name, checksums[name]) for name in sorted(checksums, reverse=True))
