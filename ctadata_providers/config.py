"""One frozen settings object, the same names in every engine.

Order, first wins: explicit values, the profile if it was named explicitly, the environment, the profile named by
`CTA_PROFILE` (else `prod`), the built-in default. The credential settings are one group: the first level that gives any
of them gives them all, so that a token file chosen in a workflow is never overruled by a `BEARER_TOKEN` that happens to
be in the environment.
"""

import os
import shlex
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args
from urllib.parse import urlsplit

from ctadata_providers.errors import ConfigError
from ctadata_providers.uri import segment_fault

BackendName = Literal["webdav", "memory"]
ChecksumMode = Literal["auto", "require", "off"]
GrantType = Literal["refresh_token", "client_credentials"]
RefreshMode = Literal["auto", "never"]

DEFAULT_PROFILE = "prod"
BUILT_IN_PROFILES: Mapping[str, Mapping[str, str]] = {
    "prod": {
        "door_url": "https://dcache.cta.cscs.ch:2880",
        "issuer": "https://keycloak.cta.cscs.ch/realms/master",
        "client_id": "dcache-cta-cscs-ch-users",
    },
    "dev": {
        "door_url": "https://dcache-dev.ctaodc.ch:2880",
        "issuer": "https://keycloak.cta.cscs.ch/realms/master",
        "client_id": "dcache-dev",
    },
}

ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "backend": ("CTA_BACKEND",),
    "door_url": ("CTA_DOOR_URL",),
    "base_path": ("CTA_BASE_PATH",),
    "token": ("BEARER_TOKEN",),
    "token_file": ("BEARER_TOKEN_FILE",),
    "token_command": ("CTA_TOKEN_COMMAND",),
    "oidc_account": ("CTA_OIDC_ACCOUNT",),
    "issuer": ("CTA_ISSUER",),
    "client_id": ("CTA_CLIENT_ID",),
    "client_secret": ("CTA_CLIENT_SECRET",),
    "client_secret_file": ("CTA_CLIENT_SECRET_FILE",),
    "grant_type": ("CTA_GRANT_TYPE",),
    "scope": ("CTA_SCOPE",),
    "audience": ("CTA_AUDIENCE",),
    "refresh": ("CTA_REFRESH",),
    "proxy_file": ("X509_USER_PROXY",),
    "cert_file": ("X509_USER_CERT",),
    "key_file": ("X509_USER_KEY",),
    "ca_path": ("CTA_CA_PATH", "X509_CERT_DIR"),
    "trusted_hosts": ("CTA_TRUSTED_HOSTS",),
    "allow_http_pools": ("CTA_ALLOW_HTTP_POOLS",),
    "home": ("CTA_HOME",),
    "max_parallel": ("CTA_MAX_PARALLEL",),
    "retries": ("CTA_RETRIES",),
    "connect_timeout": ("CTA_CONNECT_TIMEOUT",),
    "timeout": ("CTA_TIMEOUT",),
    "max_requests_per_second": ("CTA_MAX_REQUESTS_PER_SECOND",),
    "checksum": ("CTA_CHECKSUM",),
}
"""Which environment variables give a setting; the first that is set and not empty wins."""

CREDENTIAL_SETTINGS = frozenset(
    {
        "token",
        "token_file",
        "token_command",
        "oidc_account",
        "client_secret",
        "client_secret_file",
        "grant_type",
        "proxy_file",
        "cert_file",
        "key_file",
    }
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a client; construction checks them and reads nothing.

    Attributes:
        profile: Name of the profile (in Airflow the connection) that the settings came from.
        backend: `webdav`, or `memory` for tests without a server.
        door_url: WebDAV door, scheme, host and port.
        base_path: Prefix of all paths at the door.
        token: Bearer token for the door. Never shown, logged or pickled.
        token_file: File that holds a bearer token; read again when it changes.
        token_command: Program with its arguments, run without a shell, that prints a bearer token; as a text it is
            split as a shell would.
        oidc_account: Account of a running oidc-agent, or its issuer.
        issuer: OpenID Connect issuer, https, as Keycloak's `https://host/realms/name`.
        client_id: Our name there.
        client_secret: Our secret there. Never shown, logged or pickled.
        client_secret_file: File that holds it; it must not be open to others.
        grant_type: `refresh_token` goes on with the session of `ctadata login`, `client_credentials` is for robots.
        scope: What to ask the issuer for; default what the grant needs.
        audience: Whom the tokens shall be for; default what the issuer chooses.
        refresh: `never` for workers that use the token which another process keeps fresh.
        proxy_file: RFC 3820 proxy (certificate, key and chain in one PEM file).
        cert_file: Client certificate, PEM, with `key_file` unless it holds the key too.
        key_file: Private key of `cert_file`.
        ca_path: Trusted CAs beside the system's: a hashed folder or a PEM file.
        trusted_hosts: Hosts (`*.domain` too) to which a redirect may carry the credential.
        allow_http_pools: Follow a redirect to plain http, without credential; a checksum is then required.
        home: The user's own folder, e.g. `/lst/users/alice`.
        max_parallel: Transfers at once.
        retries: How often a transient fault is tried again.
        connect_timeout: Seconds to connect.
        timeout: Seconds without progress in a body.
        max_requests_per_second: Limit over all threads; None is 200 on dCache, which bans above 250, else no limit.
        checksum: `auto` verifies a checksum where it costs little, `require` fails without, `off` looks at size only.
        ambient_credentials: Whether token discovery, the user's logins and the usual places of proxies are consulted
            where no credential is given.
        on_token: Called with the text of every new token (Airflow masks it).

    Raises:
        ConfigError: When a value cannot be used.
    """

    profile: str = DEFAULT_PROFILE
    backend: BackendName = "webdav"
    door_url: str = BUILT_IN_PROFILES[DEFAULT_PROFILE]["door_url"]
    base_path: str = "/"
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    token_command: tuple[str, ...] | None = None
    oidc_account: str | None = None
    issuer: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    client_secret_file: Path | None = None
    grant_type: GrantType = "refresh_token"
    scope: str | None = None
    audience: str | None = None
    refresh: RefreshMode = "auto"
    proxy_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    ca_path: Path | None = None
    trusted_hosts: tuple[str, ...] = ()
    allow_http_pools: bool = False
    home: str | None = None
    max_parallel: int = 16
    retries: int = 5
    connect_timeout: float = 20.0
    timeout: float = 60.0
    max_requests_per_second: float | None = None
    checksum: ChecksumMode = "auto"
    ambient_credentials: bool = False
    on_token: Callable[[str], None] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            if value is None and spec.default is not None:
                raise _unusable(spec.name, None, "a value, or leave it out")
            if value is not None:
                object.__setattr__(self, spec.name, _PARSERS[spec.name](spec.name, value))
        if self.backend == "webdav":
            object.__setattr__(self, "door_url", _door_url(self.door_url))

    def __getstate__(self) -> dict[str, Any]:
        # A secret or a callback must not travel in a pickle: the other process resolves its own.
        return {**self.__dict__, "token": None, "client_secret": None, "on_token": None}

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **explicit: Any) -> Self:
        """Resolve the settings from explicit values, profile and environment.

        Args:
            environ: The environment; default `os.environ`.
            **explicit: Settings by name; None means not given.

        Raises:
            ConfigError: For an unknown setting or profile, or a value that cannot be used.
        """
        environ = os.environ if environ is None else environ
        given = _known({name: value for name, value in explicit.items() if value is not None})
        named = given.get("profile")
        profile = str(named or environ.get("CTA_PROFILE") or DEFAULT_PROFILE)
        levels = [given, _profile(profile, environ), _from_environment(environ)]
        if not named:
            levels[1:] = reversed(levels[1:])
        return cls(**{"ambient_credentials": True, **_merge(levels), "profile": profile})

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Make settings that are complete by themselves: neither the environment nor config.toml is consulted.

        Values may be strings, as connections and command lines give them; None and `''` mean not given. A `profile`,
        one of the built-in ones, gives what the mapping leaves out.

        Raises:
            ConfigError: For an unknown setting or profile, or a value that cannot be used.
        """
        given = _known({name: value for name, value in mapping.items() if value is not None and value != ""})
        profile = str(given.get("profile") or DEFAULT_PROFILE)
        if profile not in BUILT_IN_PROFILES:
            remedy = f"known here are {', '.join(BUILT_IN_PROFILES)}; give the settings themselves"
            raise ConfigError(f"unknown profile {profile!r}", remedy=remedy)
        levels = [given, BUILT_IN_PROFILES[profile]]
        return cls(**{**_merge(levels), "profile": profile})

    def with_settings(self, **settings: Any) -> Self:
        """Return a copy with some settings changed; None means not given, a credential setting replaces all of them.

        Raises:
            ConfigError: For an unknown setting or a value that cannot be used.
        """
        given = _known({name: value for name, value in settings.items() if value is not None})
        replaced = CREDENTIAL_SETTINGS if CREDENTIAL_SETTINGS & given.keys() else frozenset()
        forgotten = {spec.name: spec.default for spec in fields(self) if spec.name in replaced}
        return replace(self, **{**forgotten, **given})


def _known(settings: Mapping[str, Any]) -> dict[str, Any]:
    names = {spec.name for spec in fields(Config)}
    for name in settings:
        if name not in names:
            raise ConfigError(f"unknown setting {name!r}", remedy=f"known are {', '.join(sorted(names))}")
    return dict(settings)


def _merge(levels: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge levels, first wins; the credential settings come from one level only."""
    merged: dict[str, Any] = {}
    credential_given = False
    for level in levels:
        usable = {
            name: value for name, value in level.items() if not (credential_given and name in CREDENTIAL_SETTINGS)
        }
        credential_given = credential_given or bool(CREDENTIAL_SETTINGS & level.keys())
        merged = {**usable, **merged}
    return merged


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, variables in ENVIRONMENT.items():
        value = next((environ[v] for v in variables if environ.get(v, "").strip()), None)
        if value is not None:
            found[name] = value
    return found


def config_file(environ: Mapping[str, str]) -> Path:
    """Return where the profiles are kept: `$XDG_CONFIG_HOME/ctadata-providers/config.toml`."""
    home = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home()) / ".config"
    return Path(home) / "ctadata-providers" / "config.toml"


def _profile(name: str, environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the settings of a profile: those of the file over the built-in ones."""
    path = config_file(environ)
    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8")).get("profiles", {})
    except FileNotFoundError:
        profiles = {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the profiles in {path}: {error}", path=path, remedy="mend the file") from error
    own = profiles.get(name, {}) if isinstance(profiles, dict) else None
    if not isinstance(own, dict):
        raise ConfigError(f"[profiles.{name}] in {path} is not a table", path=path, remedy="mend the file")
    if name not in profiles and name not in BUILT_IN_PROFILES:
        known = ", ".join(sorted({*BUILT_IN_PROFILES, *profiles}))
        raise ConfigError(f"unknown profile {name!r}", remedy=f"known are {known}; add [profiles.{name}] to {path}")
    return {**BUILT_IN_PROFILES.get(name, {}), **_known(own)}


def _door_url(url: str) -> str:
    if any(c.isspace() or not c.isprintable() for c in url):
        raise _unusable("door_url", url, "https://host:port")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _unusable("door_url", "a URL that cannot be parsed", "https://host:port") from error
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise _unusable("door_url", url if "@" not in url else "that URL", "https://host:port")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise _unusable("door_url", "a URL with user, password, query or fragment", "https://host:port")
    if parts.path.strip("/"):
        raise _unusable("door_url", url, "https://host:port, and the path as base_path")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def _unusable(name: str, value: object, wanted: str) -> ConfigError:
    return ConfigError(f"setting {name}: {value!r} cannot be used", remedy=f"give {wanted}")


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
        raise _unusable(name, value, "an absolute path without '.', '..' and control characters")
    return "/" + "/".join(segments)


def _file(name: str, value: object) -> Path:
    if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
        raise _unusable(name, value, "a path")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise _unusable(name, str(value), "a path whose home folder exists") from error


def _command(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise _unusable(name, value, "a command whose quotes are closed") from error
    elif isinstance(value, (list, tuple)):
        words = [str(word) for word in value]
    else:
        words = []
    if not words or not words[0]:
        raise _unusable(name, value, "a program with its arguments")
    return tuple(words)


def _issuer(name: str, value: object) -> str:
    """Return an issuer without the slash at its end, which Keycloak's documents lack and many settings have."""
    text = _text(name, value).rstrip("/")
    try:
        parts = urlsplit(text)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        usable = parts.hostname and not (parts.username or parts.query or parts.fragment) and parts.port != 0
    except ValueError as error:
        raise _unusable(name, "a URL that cannot be parsed", "https://host/path") from error
    if not usable or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise _unusable(name, "that URL", "https://host/path")
    return text


def _callback(name: str, value: object) -> object:
    if not callable(value):
        raise _unusable(name, value, "a function, from Python only")
    return value


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise _unusable(name, value, "true or false")


def _count(name: str, value: object) -> int:
    lowest = 0 if name == "retries" else 1
    try:
        number = int(str(value))
    except ValueError as error:
        raise _unusable(name, value, f"a whole number from {lowest}") from error
    if number < lowest:
        raise _unusable(name, value, f"a whole number from {lowest}")
    return number


def _positive(name: str, value: object) -> float:
    try:
        number = float(str(value))
    except ValueError as error:
        raise _unusable(name, value, "a number above 0") from error
    if not 0 < number < float("inf"):
        raise _unusable(name, value, "a number above 0")
    return number


def _hosts(name: str, value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        raise _unusable(name, value, "host names, separated by commas")
    hosts = tuple(str(host).strip().lower() for host in items if str(host).strip())
    for host in hosts:
        if not host.removeprefix("*.").strip("*.") or "*" in host.removeprefix("*.") or "/" in host:
            raise _unusable(name, host, "host names such as door.example.org or *.example.org")
    return hosts


def _choice(choices: tuple[str, ...]) -> Callable[[str, object], str]:
    def parse(name: str, value: object) -> str:
        if value not in choices:
            raise _unusable(name, value, "one of " + ", ".join(choices))
        return str(value)

    return parse


_PARSERS: Mapping[str, Callable[[str, Any], object]] = {
    "profile": _text,
    "backend": _choice(get_args(BackendName)),
    "door_url": _text,
    "base_path": _path_prefix,
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
    "allow_http_pools": _flag,
    "home": _path_prefix,
    "max_parallel": _count,
    "retries": _count,
    "connect_timeout": _positive,
    "timeout": _positive,
    "max_requests_per_second": _positive,
    "checksum": _choice(get_args(ChecksumMode)),
    "ambient_credentials": _flag,
    "on_token": _callback,
}
