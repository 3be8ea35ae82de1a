"""The settings object, and how it is made."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self, cast
from urllib.parse import urlsplit

from ctadata_providers.config.levels import (
    BUILT_IN_PROFILES,
    CHOOSING,
    CREDENTIAL_SETTINGS,
    DEFAULT_PROFILE,
    IDENTITY,
    SECRET_SETTINGS,
    Level,
    belongs,
    from_environment,
    known,
    merge,
    own_profile,
)
from ctadata_providers.config.parsers import (
    PARSERS,
    BackendName,
    ChecksumMode,
    GrantType,
    RefreshMode,
    door_url,
    unusable,
)
from ctadata_providers.config.services import services_chosen
from ctadata_providers.errors import ConfigError

UNPICKLED = SECRET_SETTINGS | {"on_token", "on_event"}
"""What does not travel in a pickle, be it a secret or a callback: the other process resolves its own."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a client; construction checks them and reads nothing.

    Attributes:
        profile: Name of the profile (in Airflow the connection) that the settings came from.
        backend: `webdav` for a door, `downloadservice` for the CTA services, `memory` for tests without a server; when
            not given, what `door_url` and `service_url` lead to.
        door_url: WebDAV door, scheme, host and port.
        base_path: Prefix of all paths at the door.
        service_url: The downloadservice, such as `https://host/services/downloadservice/`.
        certificate_service_url: The certificateservice; None is the one beside the downloadservice.
        hub_url: The JupyterHub of the services, such as `https://host/hub/`; None is that at their host.
        hub_token: JupyterHub API token, for the services and their hub only. Never shown, logged or pickled.
        token: Bearer token for the door. Never shown, logged or pickled.
        token_file: File that holds a bearer token; read again when it changes.
        token_command: Program with its arguments, run without a shell, that prints a bearer token; as a text it is
            split as a shell would. It goes along in a pickle, for a worker needs it, and while it runs every user of
            the machine can read its arguments: they are no place for a secret.
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
        copy_hosts: Hosts (`*.domain` too) that may be the other side of a copy from server to server, and are given the
            token for this door then.
        allow_http_pools: Follow a redirect to plain http, without credential; a checksum is then required.
        home: The user's own folder, e.g. `/lst/users/alice`.
        max_parallel: Transfers at once; when not given 16, with the services 4.
        streams: Connections at once for one large download; None is as many as help, up to 8.
        retries: How often a transient fault is tried again.
        connect_timeout: Seconds to connect.
        timeout: Seconds without progress in a body.
        max_requests_per_second: Limit over all threads; None is 200 on dCache, which bans above 250, else no limit.
        limit_rate: Most bytes a second over all transfers of the process, down and up; None is no limit.
        checksum: `auto` verifies a checksum where it costs little, `require` fails without, `off` looks at size only.
        ambient_credentials: Whether token discovery, the user's logins and the usual places of proxies are consulted
            where no credential is given.
        on_token: Called with the text of every new token (Airflow masks it).
        on_event: Called with a `TransferEvent` when a transfer starts, moves on, is tried again, or ends; in another
            thread, which it must not hold up.

    Raises:
        ConfigError: When a value cannot be used.
    """

    profile: str = DEFAULT_PROFILE
    backend: BackendName = field(default=cast(BackendName, None))  # made in __post_init__
    door_url: str = BUILT_IN_PROFILES[DEFAULT_PROFILE]["door_url"]
    base_path: str = "/"
    service_url: str | None = BUILT_IN_PROFILES[DEFAULT_PROFILE]["service_url"]
    certificate_service_url: str | None = None
    hub_url: str | None = None
    hub_token: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    token_command: tuple[str, ...] | None = field(default=None, repr=False)  # not all know that arguments are no secret
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
    copy_hosts: tuple[str, ...] = ()
    allow_http_pools: bool = False
    home: str | None = None
    max_parallel: int = field(default=cast(int, None))  # made in __post_init__
    streams: int | None = None
    retries: int = 5
    connect_timeout: float = 20.0
    timeout: float = 60.0
    max_requests_per_second: float | None = None
    limit_rate: float | None = None
    checksum: ChecksumMode = "auto"
    ambient_credentials: bool = False
    on_token: Callable[[str], None] | None = field(default=None, repr=False, compare=False)
    on_event: Callable[[Any], object] | None = field(default=None, repr=False, compare=False)

    _levels: ClassVar[Mapping[str, Level] | None] = None
    _made: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        self._make_what_follows()
        for spec in fields(self):
            value = getattr(self, spec.name)
            if value is None and spec.default is not None and spec.name != "service_url":
                raise unusable(spec.name, None, "a value, or leave it out")
            if value is not None:
                object.__setattr__(self, spec.name, PARSERS[spec.name](spec.name, value))
        if self.backend == "webdav":
            object.__setattr__(self, "door_url", door_url(self.door_url))
        if self.backend == "downloadservice" and self.service_url is None:
            raise ConfigError("there is no downloadservice to use", remedy="set service_url (CTADS_URL)")

    @property
    def certificate_service(self) -> str | None:
        """The address of the certificateservice, with a slash at its end; None when nothing tells it."""
        if self.certificate_service_url or not self.service_url:
            return self.certificate_service_url
        beside, name = self.service_url[:-1].rsplit("/", 1)
        return f"{beside}/certificateservice/" if name == "downloadservice" else None

    @property
    def instance(self) -> str:
        """What tells this storage from others: the built-in profile that it belongs to, else its URL."""
        services = self.backend == "downloadservice"
        where = self.service_url if services else self.door_url if self.backend == "webdav" else self.backend
        url = f"{where}" if services or self.base_path == "/" else f"{where}{self.base_path}"
        return next((name for name, profile in BUILT_IN_PROFILES.items() if url in profile.values()), url)

    @property
    def hub(self) -> str | None:
        """The address of the hub of the services, with a slash at its end; None when nothing tells it."""
        if self.hub_url or not self.service_url:
            return self.hub_url
        parts = urlsplit(self.service_url)
        before, services, _ = parts.path.partition("/services/")
        return f"{parts.scheme}://{parts.netloc}{before if services else ''}/hub/"

    def _make_what_follows(self) -> None:
        """Fill in the settings that follow from others when they are not given."""
        made = frozenset(name for name in ("backend", "max_parallel") if getattr(self, name) is None)
        object.__setattr__(self, "_made", made)
        if "backend" in made:
            defaults = {spec.name: spec.default for spec in fields(self)}
            places = {name: getattr(self, name) for name in ("door_url", "service_url")}
            given = {name: url for name, url in places.items() if url != defaults[name]}
            object.__setattr__(self, "backend", _backend([("explicit", given)]))
        if "max_parallel" in made:
            object.__setattr__(self, "max_parallel", 4 if self.backend == "downloadservice" else 16)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, **dict.fromkeys(UNPICKLED)}

    def __copy__(self) -> Self:
        return self  # made by way of a pickle, a copy would have no secrets, and find others

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

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
        given = _given(explicit)
        # An empty name, a variable without a value in a script, is not taken for the default.
        named = PARSERS["profile"]("profile", given["profile"]) if "profile" in given else None
        profile = str(named or environ.get("CTA_PROFILE") or DEFAULT_PROFILE)
        own = own_profile(profile, environ, _names())
        profiles: list[tuple[Level, Mapping[str, Any]]] = [
            ("profile", own),
            ("built-in", BUILT_IN_PROFILES.get(profile, {})),
        ]
        variables: tuple[Level, Mapping[str, Any]] = ("environment", from_environment(environ))
        levels = [("explicit", given), *([*profiles, variables] if named else [variables, *profiles])]
        return cls._of(levels, profile, environ, ambient_credentials=True)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Make settings that are complete by themselves: neither the environment nor config.toml is consulted.

        Values may be strings, as connections and command lines give them; None and `''` mean not given. A `profile`,
        one of the built-in ones, gives what the mapping leaves out.

        Raises:
            ConfigError: For an unknown setting or profile, or a value that cannot be used.
        """
        given = _given({name: value for name, value in mapping.items() if value != ""})
        profile = str(given.get("profile") or DEFAULT_PROFILE)
        if profile not in BUILT_IN_PROFILES:
            remedy = f"known here are {', '.join(BUILT_IN_PROFILES)}; give the settings themselves"
            raise ConfigError(f"unknown profile {profile!r}", remedy=remedy)
        return cls._of([("explicit", given), ("built-in", BUILT_IN_PROFILES[profile])], profile)

    @classmethod
    def _of(
        cls,
        levels: Sequence[tuple[Level, Mapping[str, Any]]],
        profile: str,
        environ: Mapping[str, str] | None = None,
        **defaults: Any,
    ) -> Self:
        settings, given_by = merge(levels)
        if profile in BUILT_IN_PROFILES:
            defaults["service_url"] = None  # the one of `prod` is not that of `dev`, which has none
        defaults["backend"] = _backend(levels, environ)
        return cls(**{**defaults, **settings, "profile": profile}).with_levels(given_by)

    def with_settings(self, **settings: Any) -> Self:
        """Return a copy with some settings changed; None means not given, a credential setting replaces all of them.

        Raises:
            ConfigError: For an unknown setting or a value that cannot be used.
        """
        given = _given(settings)
        replaced = set() if CHOOSING.isdisjoint(given) else set(CREDENTIAL_SETTINGS)
        if not belongs(given, {"door_url": self.door_url, "issuer": self.issuer}):
            replaced.update(name for name in IDENTITY if self.given_by(name) == "built-in")
        forgotten = {spec.name: spec.default for spec in fields(self) if spec.name in replaced}
        levels: dict[str, Level] = {name: level for name, level in self.levels.items() if name not in replaced}
        if self.given_by("backend") is None and not {"door_url", "service_url"}.isdisjoint(given):
            forgotten["backend"] = _backend([("explicit", given)])
        if self.given_by("max_parallel") is None:
            forgotten["max_parallel"] = None  # it follows the backend
        changed = replace(self, **{**forgotten, **given})
        return changed.with_levels({**levels, **dict.fromkeys(given, "explicit")})

    def given_by(self, name: str) -> Level | None:
        """Tell who gave a setting, None for the default."""
        if self._levels is not None:
            return self._levels.get(name)
        if name in self._made:
            return None
        default = next(spec.default for spec in fields(self) if spec.name == name)
        return None if getattr(self, name) == default else "explicit"

    @property
    def levels(self) -> Mapping[str, Level]:
        """Who gave each setting that is not a default."""
        return {spec.name: level for spec in fields(self) if (level := self.given_by(spec.name))}

    def with_levels(self, levels: Mapping[str, Level]) -> Self:
        """Remember who gave each setting, where `given_by` cannot know; return the same settings."""
        object.__setattr__(self, "_levels", levels)
        return self


def _backend(
    levels: Sequence[tuple[Level, Mapping[str, Any]]], environ: Mapping[str, str] | None = None
) -> BackendName:
    return "downloadservice" if services_chosen(levels, environ) else "webdav"


def _names() -> tuple[str, ...]:
    return tuple(spec.name for spec in fields(Config))


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return known({name: value for name, value in settings.items() if value is not None}, _names())
