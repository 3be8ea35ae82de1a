"""A redirecting XRootD: a manager that answers with the address of a data server.

By default the manager asks its data servers for every name that is new to it, and waits for an answer that never
comes when none has it: a second here, 5 s by default, for each new name. With `shared` it looks itself, at once, as
sites with a cluster file system configure it (`cms.dfs` in XRootD's "Cluster Management Service Configuration
Reference"). Both redirect alike, and both remember a miss.
"""

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers.pki import Pki
from tests.servers.process import ServerError, free_port, tail
from tests.servers.server import Server, give_to, service_user, work_folder
from tests.servers.tokens import TokenIssuer
from tests.servers.xrootd import common_lines, daemon, data_lines, token_lines
from tests.servers.xrootd_installation import OWN, SERVER_PACKAGE, Installation

_LOCATED = 30.0


@contextmanager
def xrootd_cluster(
    *,
    pki: Pki | None = None,
    issuer: TokenIssuer | None = None,
    strip_token: bool = False,
    shared: bool = False,
    installation: Installation = OWN,
) -> Iterator[Server]:
    """Run a manager, its cmsd, and one data server with its cmsd; `url` is the manager's.

    With `pki` and `issuer` over TLS with tokens, else plain http without. The manager redirects GET with
    302 and everything else with 307, the token in the URL (`?authz=`) unless `strip_token`.

    Args:
        pki: Host certificate and CA.
        issuer: Whose tokens are accepted.
        strip_token: Whether the redirect leaves the token out.
        shared: Whether the manager sees the files itself, so that it need not ask.
        installation: Whose programs are run.

    Raises:
        ServerError: XRootD is not installed, does not come up, or the manager does not find the data.
    """
    manager, meeting, data = (free_port() for _ in range(3))
    with work_folder("xrdcluster") as folder, ExitStack() as stack:
        owner = service_user("xrootd", SERVER_PACKAGE)
        common = _cluster_lines(folder, pki, meeting=meeting, shared=shared)
        token = token_lines(folder, issuer, ports=(manager, data), installation=installation) if issuer else []
        # A manager that does not look at tokens cannot put them into a Location. (Since 5.9 it can look and
        # still leave them out, `strip-on-redirect`; the client sees the same.)
        shown = ["http.header2cgi Authorization authz"] if issuer and not strip_token else []
        manager_config = _write_config(folder, "manager", common, shown, _manager_lines(folder, manager, meeting))
        server_config = _write_config(folder, "server", common, [*_server_lines(folder, data, installation), *token])
        (folder / "data" / "public").mkdir(parents=True)
        (folder / "data" / "public" / "found").write_text("yes")
        give_to(owner, folder)
        for config in (manager_config, server_config):
            for name in ("cmsd", "xrootd"):
                started = daemon(
                    name, config, folder=folder, owner=owner, instance=config.stem, installation=installation
                )
                stack.enter_context(started)
        scheme = "https" if pki else "http"
        log = folder / "manager-xrootd.log"
        server = Server(
            name=f"xrootd-{'redirecting' if shared else 'cluster'}-{_credential(issuer, strip_token)}",
            url=f"{scheme}://localhost:{manager}",
            root=folder / "data",
            log=log,
            owner=owner,
            ca_file=pki.ca_file if pki else None,
            make_token=issuer.mint if issuer else None,
            trusted_hosts="127.0.0.1" if strip_token else "",
            version=installation.version,
        )
        _wait_located(server, log)
        yield server


def _credential(issuer: TokenIssuer | None, strip_token: bool) -> str:
    if strip_token:
        return "stripped"
    return "token" if issuer else "http"


def _cluster_lines(folder: Path, pki: Pki | None, *, meeting: int, shared: bool) -> list[str]:
    lines = [
        *common_lines(folder, pki),
        f"all.manager localhost:{meeting}",
        "cms.allow host *",
        # The shortest waits there are: by default a name not seen before takes 5 s, the start 90 s.
        "cms.delay startup 1 lookup 1 servers 1",
    ]
    if shared:
        lines.append("cms.dfs lookup central redirect verify")
    if pki:
        # A manager signs what it redirects; both sides need the same key (32 or more bytes).
        (folder / "secret").write_text("0123456789abcdef" * 4 + "\n")
        (folder / "secret").chmod(0o600)
        lines += ["xrootd.seclib libXrdSec.so", f"http.secretkey {folder}/secret"]
    return lines


def _manager_lines(folder: Path, port: int, meeting: int) -> list[str]:
    return [
        "all.role manager",
        f"oss.localroot {folder}/data",  # read by a manager that looks itself
        "if exec cmsd",
        f"xrd.port {meeting}",
        "else",
        f"xrd.port {port}",
        f"xrd.protocol XrdHttp:{port} libXrdHttp.so",
        "http.exthandler xrdtpc libXrdHttpTPC.so",  # else a COPY is not redirected
        "fi",
    ]


def _server_lines(folder: Path, port: int, installation: Installation) -> list[str]:
    data = data_lines(folder, port, installation)
    own = [line for line in data if line.startswith("xrd.")]
    return ["all.role server", *(line for line in data if line not in own), "if exec xrootd", *own, "fi"]


def _write_config(folder: Path, name: str, *parts: list[str]) -> Path:
    path = folder / f"{name}.cfg"
    path.write_text("\n".join([*(line for part in parts for line in part), ""]))
    return path


def _wait_located(server: Server, log: Path) -> None:
    """Wait until the manager redirects: the data server needs a moment to report to it.

    A request that comes too early is held for 10 s, so each try has one second.
    """
    context = ssl.create_default_context(cafile=str(server.ca_file)) if server.ca_file else None
    deadline = time.monotonic() + _LOCATED
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{server.url}/public/found", context=context, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise ServerError(f"the XRootD manager finds no data server; its log:\n{tail(log)}")
