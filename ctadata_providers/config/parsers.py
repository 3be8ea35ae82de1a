"""What a value of each setting may be."""

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from ctadata_providers.errors import ConfigError
from ctadata_providers.uri import segment_fault

BackendName = Literal["webdav", "downloadservice", "memory"]
ChecksumMode = Literal["auto", "require", "off"]
GrantType = Literal["refresh_token", "client_credentials"]
RefreshMode = Literal["auto", "never"]


def unusable(name: str, value: object, wanted: str) -> ConfigError:
    """Return the error for a value that is not what is wanted."""
    return ConfigError(f"setting {name}: {value!r} cannot be used", remedy=f"give {wanted}")


def door_url(url: str) -> str:
    """Return a door's address as scheme, host and port.

    Raises:
        ConfigError: When it is something else; user and password are not shown.
    """
    if any(c.isspace() or not c.isprintable() for c in url):
        raise unusable("door_url", url, "https://host:port")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise unusable("door_url", "a URL that cannot be parsed", "https://host:port") from error
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise unusable("door_url", url if "@" not in url else "that URL", "https://host:port")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise unusable("door_url", "a URL with user, password, query or fragment", "https://host:port")
    if not parts.hostname.isascii():
        raise unusable("door_url", url, "the name of the host as DNS has it (xn--...)")
    if parts.path.strip("/"):
        raise unusable("door_url", url, "https://host:port, and the path as base_path")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        # The value is not shown: it may be a secret.
        raise ConfigError(f"setting {name} is not a text", remedy=f"give {name} as a non-empty text")
    return value.strip()


def _token(name: str, value: object) -> str:
    token = _text(name, value)
    if not all(33 <= ord(c) <= 126 for c in token):
        raise ConfigError(
            f"setting {name} is not a bearer token (blank, newline or odd character inside)",
            remedy="give the token alone, or its file as token_file",
        )
    return token


def _path_prefix(name: str, value: object) -> str:
    segments = [s for s in _text(name, value).split("/") if s]
    if any(segment_fault(s) for s in segments):
        raise unusable(name, value, "an absolute path without '.', '..' and control characters")
    return "/" + "/".join(segments)


def _file(name: str, value: object) -> Path:
    if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
        raise unusable(name, value, "a path")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise unusable(name, str(value), "a path whose home folder exists") from error


def _command(name: str, value: object) -> tuple[str, ...]:
    hidden = "that command"  # it may hold a secret
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise unusable(name, hidden, "one whose quotes are closed") from error
    elif isinstance(value, (list, tuple)):
        words = [str(word) for word in value]
    else:
        words = []
    if not words or not words[0]:
        raise unusable(name, hidden, "a program with its arguments")
    if re.match(r"\w+=", words[0]):
        raise unusable(name, hidden, "a program with its arguments; variables are set elsewhere, for no shell reads it")
    return tuple(words)


def _issuer(name: str, value: object) -> str:
    """Return an issuer without the slash at its end, which Keycloak's documents lack and many settings have."""
    text = _text(name, value).rstrip("/")
    try:
        parts = urlsplit(text)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        usable = parts.hostname and not (parts.username or parts.query or parts.fragment) and parts.port != 0
        usable = usable and not any(c.isspace() or not c.isprintable() for c in text)
    except ValueError as error:
        raise unusable(name, "a URL that cannot be parsed", "https://host/path") from error
    if not usable or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise unusable(name, "that URL" if "@" in text else text, "https://host/path")
    return text


def _service(name: str, value: object) -> str:
    """Return the address of a service or hub with one slash at its end; user and password are not shown."""
    text = _text(name, value)
    wanted = "https://host/path/"
    try:
        parts = urlsplit(text)
        usable = parts.hostname and not (parts.username or parts.password or parts.query or parts.fragment)
        usable = usable and parts.port != 0 and not any(c.isspace() or not c.isprintable() for c in text)
    except ValueError as error:
        raise unusable(name, "a URL that cannot be parsed", wanted) from error
    if not usable or parts.scheme not in ("https", "http"):
        raise unusable(name, "that URL" if "@" in text or "?" in text else text, wanted)
    if not parts.netloc.isascii():
        raise unusable(name, text, "the name of the host as DNS has it (xn--...)")
    return f"{parts.scheme}://{parts.netloc.lower()}/{parts.path.strip('/')}".rstrip("/") + "/"


def _callback(name: str, value: object) -> object:
    if not callable(value):
        raise unusable(name, value, "a function, from Python only")
    return value


def flag(name: str, value: object) -> bool:
    """Return whether a value means true, as a text too.

    Raises:
        ConfigError: When it is none.
    """
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise unusable(name, value, "true or false")


def count(name: str, value: object) -> int:
    """Return a whole number from 1, for `retries` from 0, as a text too.

    Raises:
        ConfigError: When it is none.
    """
    lowest = 0 if name == "retries" else 1
    try:
        number = int(str(value))
    except ValueError as error:
        raise unusable(name, value, f"a whole number from {lowest}") from error
    if number < lowest:
        raise unusable(name, value, f"a whole number from {lowest}")
    return number


def positive(name: str, value: object) -> float:
    """Return a number above 0, as a text too, of which the clocks of the machine can wait so many seconds.

    Raises:
        ConfigError: When it is none.
    """
    try:
        number = float(str(value))
    except ValueError as error:
        raise unusable(name, value, "a number above 0") from error
    if not 1 / _LARGEST <= number <= _LARGEST:
        raise unusable(name, value, "a number above 0, such as 60")
    return number


_LARGEST = 1e8


def _rate(name: str, value: object) -> float:
    """Return bytes a second; as curl's option of that name takes them, `10M` is ten times 1024 * 1024."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?)([kKmMgG]?)", str(value).strip())
    rate = float(found[1]) * _RATE_UNITS[found[2].lower()] if found else 0.0
    if not 1 <= rate < float("inf"):
        raise unusable(name, value, "bytes a second, such as 500k or 10M")
    return rate


_RATE_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


_HOST = re.compile(r"(?:\*\.)?\w[\w.-]*|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*")
"""A name, all in a domain, or an IPv6 address as URLs have it between brackets."""


def _hosts(name: str, value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        raise unusable(name, value, "host names, separated by commas")
    hosts = tuple(str(host).strip().lower() for host in items if str(host).strip())
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise unusable(name, host, "host names such as door.example.org or *.example.org, without scheme and port")
    return hosts


def _choice(choices: tuple[str, ...]) -> Callable[[str, object], str]:
    def parse(name: str, value: object) -> str:
        if value not in choices:
            raise unusable(name, value, "one of " + ", ".join(choices))
        return str(value)

    return parse


PARSERS: Mapping[str, Callable[[str, Any], object]] = {
    "profile": _text,
    "backend": _choice(get_args(BackendName)),
    "door_url": _text,
    "base_path": _path_prefix,
    "service_url": _service,
    "certificate_service_url": _service,
    "hub_url": _service,
    "hub_token": _token,
    "token": _token,
    "token_file": _file,
    "token_command": _command,
    "oidc_account": _text,
    "issuer": _issuer,
    "client_id": _text,
    "client_secret": _token,
    "client_secret_file": _file,
    "grant_type": _choice(get_args(GrantType)),
    "scope": _text,
    "audience": _text,
    "refresh": _choice(get_args(RefreshMode)),
    "proxy_file": _file,
    "cert_file": _file,
    "key_file": _file,
    "ca_path": _file,
    "trusted_hosts": _hosts,
    "copy_hosts": _hosts,
    "allow_http_pools": flag,
    "home": _path_prefix,
    "max_parallel": count,
    "streams": count,
    "retries": count,
    "connect_timeout": positive,
    "timeout": positive,
    "max_requests_per_second": positive,
    "limit_rate": _rate,
    "checksum": _choice(get_args(ChecksumMode)),
    "ambient_credentials": flag,
    "on_token": _callback,
    "on_event": _callback,
}
"""What makes a value of a text or of a value, by the name of the setting; raises ConfigError."""
