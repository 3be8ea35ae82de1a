"""Where a credential may be, in the order in which the places are looked at.

First what the settings choose, then, if `ambient_credentials` allows it, what lies about: the files of WLCG bearer
token discovery (https://zenodo.org/records/3937438), our own logins, oidc-agent, the files of ctadata, X.509 proxies.
The variables X509_USER_PROXY and X509_USER_CERT, which many sites set for everybody, come behind the tokens.

What lies about for any door, and what the environment gives, goes to the door of the profile that the user has chosen
(by `--profile`, `CTA_PROFILE` or none), whichever that is: nothing there tells for which door it is. To the door of
another profile, which an address names, it does not go (`config.addressed`). A login and the files of ctadata are for
one door each.
"""

import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from ctadata_providers.config import BUILT_IN_PROFILES, ENVIRONMENT, Config, given_in, is_of_another
from ctadata_providers.config.folders import home_folder
from ctadata_providers.credentials import oidc_agent
from ctadata_providers.credentials.commands import command_token
from ctadata_providers.credentials.safe_files import ForeignFileError, read_private
from ctadata_providers.credentials.tokens import (
    LONGEST_TOKEN,
    WHITESPACE,
    FileToken,
    FixedToken,
    Token,
    TokenProvider,
    read_file,
    require_fresh,
)
from ctadata_providers.credentials.x509.certificate import ClientCertificate
from ctadata_providers.errors import CredentialError

SHARED_FOLDER = Path("/tmp")  # noqa: S108 (the place that WLCG and Globus have agreed on)
LOGIN = "login"
"""Name of the place where the session of `ctadata login` is."""
Kind = Literal["value", "file", "renewable", "certificate"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something is there and is passed over.

    Attributes:
        why: The reason.
        remedy: What would make it usable, if anything.
        missed: Whether it is an error that there is nothing else.
    """

    why: str
    remedy: str | None = None
    missed: bool = False


Source: TypeAlias = TokenProvider | ClientCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A place where a credential may be.

    Attributes:
        name: The setting, or what kind of place it is.
        place: The file, variable or account.
        kind: What it gives; a `renewable` one may run programs and ask servers, the others are local.
        find: Looks there, without running a program or using the network: returns what it finds, or None for nothing.
            A CredentialError says why nothing else may be taken instead.
        complains: Whether it is no place, but says that something should have been at one before.
    """

    name: str
    place: str
    kind: Kind
    find: Callable[[], Source | Skipped | None]
    complains: bool = False


def candidates(config: Config) -> Iterator[Candidate]:
    """Give all places, the first that has something wins."""
    of_site = {name for name in ("proxy_file", "cert_file") if config.given_by(name) == "environment"}
    ambient = config.ambient_credentials
    anything = ambient and not _issuer_chosen(config)
    yield from _settings(config, without=of_site)
    if anything:
        yield from (_for_the_chosen(config, place) for place in _wlcg_files(config))
    if ambient:
        yield from _logins(config)
    if anything:
        yield from _files_of_ctadata(config)
    if "proxy_file" in of_site:
        yield _certificate(config, "proxy_file")
    if anything:
        yield _for_the_chosen(config, _usual_proxy())
    if "cert_file" in of_site:
        yield _certificate(config, "cert_file")
    if _issuer_chosen(config):
        yield _missing_login(config)
    if is_of_another(config) and (variables := given_in(os.environ)):
        yield Candidate(
            name="environment",
            place=", ".join(variables),
            kind="value",
            find=partial(_missed, config, ", ".join(variables)),
        )


def _issuer_chosen(config: Config) -> bool:
    """Tell whether somebody wants the tokens of an issuer: then no others are taken."""
    return config.grant_type == "refresh_token" and config.given_by("issuer") not in (None, "built-in")


# What the settings choose


def _settings(config: Config, *, without: set[str]) -> Iterator[Candidate]:
    finders: dict[str, tuple[Kind, Callable[[], Source | Skipped | None]]] = {
        "token": ("value", lambda: FixedToken(Token.parse(config.token or "", source=_place(config, "token")))),
        "token_file": ("file", lambda: _named_file(config)),
        "token_command": ("renewable", lambda: command_token(config.token_command or ())),
        "oidc_account": ("renewable", lambda: oidc_agent.agent_token(config)),
        "grant_type": ("renewable", lambda: _robot(config)),
    }
    for name, (kind, find) in finders.items():
        if getattr(config, name) is not None and (name != "grant_type" or config.grant_type == "client_credentials"):
            place = f"{config.client_id} at {config.issuer}" if name == "grant_type" else _place(config, name)
            yield Candidate(name=name, place=place, kind=kind, find=partial(_encrypted, config, find))
    for name in ("proxy_file", "cert_file"):
        if name not in without and getattr(config, name) is not None:
            yield _certificate(config, name)


def _place(config: Config, name: str) -> str:
    """Return how a setting was given, and its value where that tells a place."""
    by = config.given_by(name)
    how = {"environment": " or ".join(ENVIRONMENT.get(name, ())), "profile": f"profile {config.profile}"}.get(by or "")
    what = str(getattr(config, name)) if name.endswith(("_file", "account")) else f"the setting {name}"
    return f"{what} ({how})" if how else what


def _encrypted(
    config: Config, find: Callable[[], Source | Skipped | None], *, ambient: bool = False
) -> Source | Skipped | None:
    """Find a token, but none to be sent over plain http to another machine."""
    door = urlsplit(config.door_url)
    if door.scheme == "https" or door.hostname in ("localhost", "127.0.0.1", "::1"):
        return find()
    why = f"a bearer token is not sent unencrypted to {config.door_url}"
    if ambient:
        return Skipped(why) if find() is not None else None
    raise CredentialError(why, remedy="use an https door_url")


def _named_file(config: Config) -> Source | Skipped:
    """Return a file that was named; by BEARER_TOKEN_FILE it may be empty, which means that there is no token."""
    path = config.token_file or Path()
    if config.given_by("token_file") == "environment":
        try:
            if path.is_file() and not read_file(path).strip(WHITESPACE.encode()):
                return Skipped(f"{path} is empty")
        except OSError:
            pass  # told when a token is wanted
    return FileToken(path)


def _robot(config: Config) -> Source:
    from ctadata_providers.credentials.oidc import sessions

    return sessions.robot(config)


def _certificate(config: Config, name: str) -> Candidate:
    def find() -> Source | None:
        if name == "proxy_file":
            return ClientCertificate(config.proxy_file, proxy=True) if config.proxy_file else None
        return ClientCertificate(config.cert_file, config.key_file) if config.cert_file else None

    return Candidate(name=name, place=_place(config, name), kind="certificate", find=find)


# What lies about


def _wlcg_files(config: Config) -> Iterator[Candidate]:
    name = f"bt_u{os.geteuid()}"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    for folder in ([Path(runtime)] if runtime else []) + [SHARED_FOLDER]:
        find = partial(_private_token, folder / name)
        yield _ambient(config, "token discovery", str(folder / name), "file", find)


def _logins(config: Config) -> Iterator[Candidate]:
    def session() -> Source | None:
        from ctadata_providers.credentials.oidc import sessions

        return sessions.open_session(config)

    def agent() -> Source | Skipped | None:
        if oidc_agent.is_running(os.environ):
            return oidc_agent.agent_token(config)
        return Skipped("no oidc-agent is running (OIDC_SOCK)") if os.environ.get("OIDC_SOCK") else None

    if config.issuer and config.client_id:
        yield _ambient(config, LOGIN, f"{config.issuer} for {config.door_url}", "renewable", session)
    if _issuer_chosen(config) and config.oidc_account is None:
        yield _ambient(config, "oidc-agent", str(config.issuer), "renewable", agent)


def _files_of_ctadata(config: Config) -> Iterator[Candidate]:
    home = home_folder()
    folder = home / ".config" / "cta-data"
    files = {"prod": (folder / "token", home / ".cta_token"), "dev": (folder / "token-dev",)}
    for profile, paths in files.items():
        if config.door_url == BUILT_IN_PROFILES[profile]["door_url"]:
            for path in paths:
                yield _ambient(config, "ctadata", str(path), "file", partial(_token_of_ctadata, path))


def _ambient(
    config: Config, name: str, place: str, kind: Kind, find: Callable[[], Source | Skipped | None]
) -> Candidate:
    return Candidate(name=name, place=place, kind=kind, find=partial(_encrypted, config, find, ambient=True))


def _for_the_chosen(config: Config, candidate: Candidate) -> Candidate:
    """Return a place of what is for any door: nothing is taken there for a profile that only an address names."""
    return _left_alone(config, candidate) if is_of_another(config) else candidate


def _left_alone(config: Config, candidate: Candidate) -> Candidate:
    def find() -> Skipped | None:
        try:
            found = candidate.find()
        except CredentialError:  # what is wrong there is of no concern here
            return None
        return _missed(config, candidate.place) if found is not None and not isinstance(found, Skipped) else None

    return replace(candidate, find=find)


def _missed(config: Config, place: str) -> Skipped:
    return Skipped(
        f"{place} is not shown to {config.door_url}: nothing but the address names the profile {config.profile}",
        f"put token_file into [profiles.{config.profile}], or choose that profile: --profile {config.profile}",
        missed=True,
    )


def _private_token(path: Path) -> Source | Skipped | None:
    """Return a token file that nobody has named; one that an agent has left behind, ended, is passed over.

    Raises:
        CredentialError: When it is ours but not safe, or holds no token.
    """
    content = _private_content(path)
    if not isinstance(content, bytes):
        return content
    if not content.strip(WHITESPACE.encode()):
        return Skipped(f"{path} is empty")
    read = partial(read_private, limit=LONGEST_TOKEN + 1)
    file = FileToken(path, read=read, follow=False, remedy="get a new token, or remove what is left of the file")
    token = file()
    try:
        require_fresh(token)
    except CredentialError as error:
        return Skipped(error.message, error.remedy, missed=True)
    return file


def _token_of_ctadata(path: Path) -> Source | Skipped | None:
    """Return a file of ctadata; a malformed one, which no program of ours has written, is passed over too.

    Raises:
        CredentialError: When it is ours but not safe.
    """
    content = _private_content(path)
    if not isinstance(content, bytes):
        return content
    try:
        Token.parse(content.decode("ascii", "replace"), source=f"token file {path}")
    except CredentialError as error:
        return Skipped(error.message, error.remedy)
    return _private_token(path)


def _usual_proxy() -> Candidate:
    path = SHARED_FOLDER / f"x509up_u{os.geteuid()}"

    def find() -> Source | Skipped | None:
        content = _private_content(path)
        return ClientCertificate(path, proxy=True, named=False) if isinstance(content, bytes) else content

    return Candidate(name="proxy", place=str(path), kind="certificate", find=find)


def _private_content(path: Path) -> bytes | Skipped | None:
    try:
        return read_private(path)
    except ForeignFileError as error:
        if path.parent != SHARED_FOLDER:
            raise
        return Skipped(error.message)
    except OSError as error:
        if not os.path.lexists(path):
            return None  # not there, or in a folder that is not ours, as after `su`
        raise CredentialError(
            f"cannot read {path}: {error.strerror}", path=path, remedy=f"rm {shlex.quote(str(path))}"
        ) from error


def _missing_login(config: Config) -> Candidate:
    def find() -> Source:
        if not config.ambient_credentials:
            raise CredentialError(
                "an issuer alone gives no credential here: the user's logins are not consulted",
                remedy="set ambient_credentials, or grant_type=client_credentials for a robot account",
            )
        from ctadata_providers.credentials.oidc.renewal import login_command

        raise CredentialError(
            f"nobody has logged in at {config.issuer} for {config.door_url}",
            remedy=f"run '{login_command(config)}'",
        )

    place = _place(config, "issuer")
    return Candidate(name="issuer", place=place, kind="renewable", find=find, complains=True)
