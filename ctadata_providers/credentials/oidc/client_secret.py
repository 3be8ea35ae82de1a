"""The secret of an OpenID client: given, in a file of its own, or in that of ctadata."""

import base64
import binascii
import os
import shlex
import stat
from pathlib import Path

from ctadata_providers.config import BUILT_IN_PROFILES, Config
from ctadata_providers.config.folders import home_folder
from ctadata_providers.credentials.discreet import discreet
from ctadata_providers.credentials.safe_files import read_private
from ctadata_providers.errors import CredentialError

LONGEST_SECRET = 4096
CTADATA_FILES = {"prod": "secret", "dev": "secret-dev"}
"""Where ctadata keeps the secrets of the built-in clients, below `~/.config/cta-data`: base64 in the first line."""


def client_secret(config: Config) -> str | None:
    """Return the secret of the client of some settings, None when there is none: it may be a public one.

    Raises:
        CredentialError: When a file that should hold it does not, or is open to others.
    """
    return given_secret(config) or _of_ctadata(config)


def given_secret(config: Config) -> str | None:
    """Return the client secret that the settings hold or name, None without one.

    Raises:
        CredentialError: When a file that should hold it does not, or is open to others.
    """
    if config.client_secret is not None:
        return config.client_secret
    return None if config.client_secret_file is None else read_secret(config.client_secret_file)


@discreet
def read_secret(path: Path) -> str:
    """Return the secret in the first line of a file that the user named; it may be a link.

    Files of other owners, as containers mount secrets (root's, open to a group), are left to those.

    Raises:
        CredentialError: When it cannot be read, is ours and open to others, or holds no secret.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            content = file.read(LONGEST_SECRET + 1) if stat.S_ISREG(found.st_mode) else b""
    except OSError as error:
        raise CredentialError(
            f"cannot read the client secret in {path}: {error.strerror}",
            path=path,
            remedy="check client_secret_file (CTA_CLIENT_SECRET_FILE)",
        ) from error
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & 0o077:
        raise CredentialError(
            f"the client secret in {path} is open to others",
            path=path,
            remedy=f"chmod 600 {shlex.quote(str(path))}, or get a new secret",
        )
    return as_secret(content, source=str(path))


@discreet
def as_secret(content: bytes, *, source: str) -> str:
    """Return the secret in the first line of what a file or standard input gave.

    Raises:
        CredentialError: When there is none.
    """
    line = content.split(b"\n", 1)[0].strip()
    if not line or len(content) > LONGEST_SECRET or not all(33 <= byte <= 126 for byte in line):
        raise CredentialError(
            f"{source} holds no client secret in its first line (empty, too long, or with an odd character)",
            remedy="write the secret alone into it",
        )
    return line.decode("ascii")


@discreet
def _of_ctadata(config: Config) -> str | None:
    """Return what ctadata keeps for a built-in client, None for other clients or without it."""
    for profile, name in CTADATA_FILES.items():
        built_in = BUILT_IN_PROFILES[profile]
        if (config.issuer, config.client_id) == (built_in["issuer"], built_in["client_id"]):
            path = home_folder() / ".config" / "cta-data" / name
            try:
                return as_secret(_decoded(read_private(path)), source=str(path))
            except FileNotFoundError:
                return None
    return None


def _decoded(content: bytes) -> bytes:
    """Return what base64 hides in the first line, nothing for what is no base64."""
    try:
        return base64.b64decode(content.split(b"\n", 1)[0].strip(), validate=True)
    except binascii.Error:
        return b""
