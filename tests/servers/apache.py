"""Apache httpd with mod_dav_fs, plain or with TLS.

Uploads are whole or absent here; a folder without its slash is answered by 301.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.servers.pki import Pki
from tests.servers.process import free_port, port_answers, program, require_file, running
from tests.servers.server import Server, give_to, service_user, work_folder

_PACKAGE = "apache2-bin"
_MODULES = Path("/usr/lib/apache2/modules")
_LOADED = ("mpm_event", "authz_core", "dir", "mime", "dav", "dav_fs")
_LOADED_TLS = ("ssl", "socache_shmcb")


@contextmanager
def apache(*, pki: Pki | None = None) -> Iterator[Server]:
    """Run Apache on an empty folder; with TLS if `pki` is given.

    Raises:
        ServerError: Apache is not installed, or it does not come up.
    """
    binary = program("apache2", _PACKAGE)
    for name in (*_LOADED, *(_LOADED_TLS if pki else ())):
        require_file(_MODULES / f"mod_{name}.so", _PACKAGE)
    port = free_port()
    with work_folder("apache") as folder:
        owner = service_user("www-data", "base-passwd")
        for name in ("data", "locks"):
            (folder / name).mkdir()
        (folder / "mime.types").touch()
        config = folder / "httpd.conf"
        config.write_text(_config(folder, port, pki=pki, owner=owner))
        give_to(owner, folder)
        argv = [binary, "-f", str(config), "-DFOREGROUND", "-E", str(folder / "error.log")]
        with running(argv, log=folder / "error.log", ready=partial(port_answers, port)):
            yield Server(
                name="apache-tls" if pki else "apache",
                url=f"{'https' if pki else 'http'}://localhost:{port}",
                root=folder / "data",
                log=folder / "error.log",
                owner=owner,
                ca_file=pki.ca_file if pki else None,
            )


def _config(folder: Path, port: int, *, pki: Pki | None, owner: str | None) -> str:
    loaded = (*_LOADED, *(_LOADED_TLS if pki else ()))
    lines = [f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in loaded]
    if owner:
        lines += [f"User {owner}", f"Group {owner}"]
    if pki:
        lines += [
            "SSLEngine on",
            f"SSLCertificateFile {pki.host_cert}",
            f"SSLCertificateKeyFile {pki.host_key}",
        ]
    lines += [
        f"ServerRoot {folder}",
        f"Listen 127.0.0.1:{port}",
        f"ServerName localhost:{port}",
        f"PidFile {folder}/httpd.pid",
        f"ErrorLog {folder}/error.log",
        f"TypesConfig {folder}/mime.types",
        f"DavLockDB {folder}/locks/db",
        f"DocumentRoot {folder}/data",
        f"<Directory {folder}/data>",
        "Dav On",
        "DirectoryIndex disabled",
        "Require all granted",
        "</Directory>",
        "",
    ]
    return "\n".join(lines)
