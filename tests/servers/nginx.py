"""nginx as a WebDAV server: its own dav module plus dav-ext, plain or with TLS.

Uploads are whole or absent here. A missing parent is made by PUT (`create_full_put_path`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.servers.pki import Pki
from tests.servers.process import free_port, port_answers, program, require_file, running
from tests.servers.server import Server, give_to, service_user, work_folder

_DAV_EXT = "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so"


@contextmanager
def nginx(
    *, pki: Pki | None = None, parent: Path | None = None, access_log: bool = True, extra: str = ""
) -> Iterator[Server]:
    """Run nginx on an empty folder; with TLS if `pki` is given.

    Args:
        pki: Host certificate and CA.
        parent: Where its work folder is made, e.g. `/dev/shm`.
        access_log: False to measure.
        extra: More configuration of its location.

    Raises:
        ServerError: nginx or its dav-ext module is not installed, or it does not come up.
    """
    binary = program("nginx", "nginx")
    require_file(_DAV_EXT, "libnginx-mod-http-dav-ext")
    port = free_port()
    with work_folder("nginx", parent=parent) as folder:
        owner = service_user("www-data", "base-passwd")
        for name in ("data", "temp"):
            (folder / name).mkdir()
        config = folder / "nginx.conf"
        config.write_text(_config(folder, port, pki=pki, owner=owner, access_log=access_log, extra=extra))
        give_to(owner, folder)
        argv = [binary, "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")]
        with running(argv, log=folder / "error.log", ready=partial(port_answers, port)):
            yield Server(
                name="nginx-tls" if pki else "nginx",
                url=f"{'https' if pki else 'http'}://localhost:{port}",
                root=folder / "data",
                log=folder / "error.log",
                owner=owner,
                ca_file=pki.ca_file if pki else None,
            )


def _config(folder: Path, port: int, *, pki: Pki | None, owner: str | None, access_log: bool, extra: str) -> str:
    # nginx 1.22 does not offer TLS 1.3 by itself; Debian's configuration of it does.
    protocols = "ssl_protocols TLSv1.2 TLSv1.3;"
    tls = f"{protocols} ssl_certificate {pki.host_cert}; ssl_certificate_key {pki.host_key};" if pki else ""
    return f"""
load_module {_DAV_EXT};
{f"user {owner};" if owner else ""}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 512; }}
http {{
  access_log {f"{folder}/access.log" if access_log else "off"};
  client_body_temp_path {folder}/temp/body;
  proxy_temp_path {folder}/temp/proxy;
  fastcgi_temp_path {folder}/temp/fastcgi;
  uwsgi_temp_path {folder}/temp/uwsgi;
  scgi_temp_path {folder}/temp/scgi;
  client_max_body_size 0;
  keepalive_requests 1000000;
  sendfile on;
  server {{
    listen 127.0.0.1:{port}{" ssl" if pki else ""};
    server_name localhost;
    {tls}
    root {folder}/data;
    location / {{
      dav_methods PUT DELETE MKCOL COPY MOVE;
      dav_ext_methods PROPFIND OPTIONS;
      create_full_put_path on;
      dav_access user:rw group:r all:r;
      {extra}
    }}
  }}
}}
"""
