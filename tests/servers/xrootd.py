"""XRootD speaking HTTP/WebDAV: one data server, plain, with tokens or with X.509 proxies.

Configuration facts: an issuer's keys are put into the key cache of scitokens-cpp (a SQLite file below
XDG_CACHE_HOME), so that no issuer has to run or be trusted; xrootd refuses to run as root (option -R).
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.servers.pki import Pki
from tests.servers.process import free_port, running, tail
from tests.servers.server import Server, give_to, service_user, work_folder
from tests.servers.tokens import ANY_AUDIENCE, TokenIssuer
from tests.servers.xrootd_installation import OWN, SERVER_PACKAGE, Installation

Mode = Literal["http", "token", "x509"]
_READY = "initialization completed"


@contextmanager
def xrootd(
    mode: Mode = "http",
    *,
    pki: Pki | None = None,
    issuer: TokenIssuer | None = None,
    extra: str = "",
    copies: bool = True,
    checksums: bool = True,
    installation: Installation = OWN,
    parent: Path | None = None,
) -> Iterator[Server]:
    """Run one XRootD data server that exports an empty folder.

    Args:
        mode: `http` asks for no credential; `token` (TLS) wants a token of `issuer`; `x509` (TLS) wants
            the user of `pki`, by certificate or proxy. In the last two, `/public` may be read by anyone.
        pki: Host certificate and CA; needed for TLS.
        issuer: Whose tokens are accepted.
        extra: More configuration lines.
        copies: Whether it makes third-party copies.
        checksums: Whether it tells checksums.
        installation: Whose programs are run.
        parent: Where its work folder is made, e.g. `/dev/shm`.

    Raises:
        ServerError: xrootd or a plugin is not installed, or it does not come up.
    """
    port = free_port()
    with work_folder("xrootd", parent=parent) as folder:
        owner = service_user("xrootd", SERVER_PACKAGE)
        lines = [*common_lines(folder, pki if mode != "http" else None), *data_lines(folder, port, installation)]
        if not copies:
            lines = [line for line in lines if "xrdtpc" not in line and not line.startswith("tpc.")]
        if not checksums:
            lines = [line for line in lines if not line.startswith("xrootd.chksum")]
        if mode == "token":
            assert issuer is not None
            lines += token_lines(folder, issuer, ports=(port,), installation=installation)
        elif mode == "x509":
            assert pki is not None
            lines += _certificate_lines(folder, pki)
        config = folder / "xrootd.cfg"
        config.write_text("\n".join([*lines, extra, ""]))
        (folder / "data" / "public").mkdir(parents=True)
        give_to(owner, folder)
        with daemon("xrootd", config, folder=folder, owner=owner, installation=installation) as log:
            yield Server(
                name=f"xrootd-{mode}",
                url=f"{'http' if mode == 'http' else 'https'}://localhost:{port}",
                root=folder / "data",
                log=log,
                owner=owner,
                ca_file=pki.ca_file if pki and mode != "http" else None,
                make_token=issuer.mint if issuer and mode == "token" else None,
                proxy_file=pki.proxy if pki and mode == "x509" else None,
                version=installation.version,
            )


@contextmanager
def daemon(
    name: Literal["xrootd", "cmsd"],
    config: Path,
    *,
    folder: Path,
    owner: str | None,
    instance: str = "test",
    installation: Installation = OWN,
) -> Iterator[Path]:
    """Run one XRootD daemon until it says that it is ready; yield its log."""
    log = folder / f"{config.stem}-{name}.log"
    home = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    run = folder / "run"
    if not run.exists():  # made once: the daemons of a cluster share it, and keep a link to /proc in it
        run.mkdir()
        give_to(owner, run)
    # IPv4 only: a manager asked over [::1] does not find a data server that came over 127.0.0.1.
    argv = [*installation.command(name), "-c", str(config), "-n", instance, "-I", "v4"]
    if owner:
        argv += ["-R", owner]
    with running(argv, log=log, ready=lambda: _READY in tail(log), environ=home, cwd=run):
        yield log


def common_lines(folder: Path, pki: Pki | None) -> list[str]:
    """Return the configuration that every xrootd and cmsd of a test shares; with TLS if `pki` is given."""
    lines = [
        "all.export / r/w",
        "all.sitename test",
        f"all.adminpath {folder}/run",
        f"all.pidpath {folder}/run",
        "xrd.network nodnr norpipa",
        "http.trace all",
    ]
    if pki:
        # Copies, because the daemon's user cannot read pytest's folders.
        for source in (pki.ca_file, pki.host_cert, pki.host_key):
            (folder / source.name).write_bytes(source.read_bytes())
        (folder / "host.key").chmod(0o600)
        lines += [
            f"xrd.tls {folder}/host.pem {folder}/host.key",
            f"xrd.tlsca certfile {folder}/ca.pem",
            "http.desthttps true",
        ]
    return lines


def data_lines(folder: Path, port: int, installation: Installation = OWN) -> list[str]:
    """Return the configuration of a data server."""
    lines = [
        f"oss.localroot {folder}/data",
        f"xrd.port {port}",
        f"xrd.protocol XrdHttp:{port} libXrdHttp.so",
        "xrootd.chksum max 4 adler32 md5",
        "http.exthandler xrdtpc libXrdHttpTPC.so",
    ]
    if installation.version >= (5, 9, 3):
        lines.append("tpc.allow local")  # refused by default since 5.9.3
    return lines


def token_lines(
    folder: Path, issuer: TokenIssuer, *, ports: tuple[int, ...], installation: Installation = OWN
) -> list[str]:
    """Return the configuration for bearer tokens, and write the files that it names."""
    installation.require_plugin("libXrdAccSciTokens", "xrootd-scitokens-plugins")
    installation.require_plugin("libXrdHttp", "xrootd-server-plugins")
    audiences = ", ".join([*(f"https://localhost:{port}" for port in ports), ANY_AUDIENCE])
    (folder / "scitokens.cfg").write_text(
        f"[Global]\naudience = {audiences}\n\n[Issuer test]\nissuer = {issuer.issuer}\nbase_path = /\n"
    )
    (folder / "authdb").write_text("u * /public lr\n")
    _preload_keys(folder / "cache" / "scitokens", issuer)
    return [
        "xrootd.seclib libXrdSec.so",
        "ofs.authorize 1",
        f"acc.authdb {folder}/authdb",
        f"ofs.authlib ++ libXrdAccSciTokens.so config={folder}/scitokens.cfg",
        "scitokens.trace all",
        "http.header2cgi Authorization authz",
    ]


def _certificate_lines(folder: Path, pki: Pki) -> list[str]:
    (folder / "gridmap").write_text(f'"{pki.user_dn}" alice\n')
    (folder / "authdb").write_text("u alice / a\nu * /public lr\n")
    return [
        "xrootd.seclib libXrdSec.so",
        "ofs.authorize 1",
        f"acc.authdb {folder}/authdb",
        f"http.gridmap {folder}/gridmap",
    ]


def _preload_keys(cache: Path, issuer: TokenIssuer) -> None:
    cache.mkdir(parents=True)
    later = int(time.time()) + 10 * 86400
    entry = {"expires": later, "next_update": later, "jwks": issuer.jwks()}
    database = sqlite3.connect(cache / "scitokens_cpp.sqllite")  # sic: the name that scitokens-cpp uses
    with database:
        database.execute("CREATE TABLE keycache (issuer text UNIQUE PRIMARY KEY NOT NULL, keys text NOT NULL)")
        database.execute("INSERT INTO keycache VALUES (?, ?)", (issuer.issuer, json.dumps(entry)))
    database.close()
