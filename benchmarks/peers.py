"""The other tools, each asked in its own best way."""

import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.runner import CannotRun, command
from benchmarks.site import Site

NOT_INSTALLED = "not installed"


def has(name: str) -> bool:
    """Tell whether a program is installed."""
    return shutil.which(name) is not None


def curl_get(site: Site) -> None:
    """Download the large file."""
    _curl(site, "-o", str(site.received / "large.bin"), f"{site.server.url}/large.bin")


def curl_put(site: Site) -> None:
    """Upload the large file."""
    _curl(site, "-T", str(site.large), f"{site.server.url}/sent/large.bin")


def curl_get_small(site: Site, *, parallel: int) -> Callable[[], None]:
    """Return a call that downloads the small files; curl is told all names, it lists nothing."""
    pairs = [(f"{site.server.url}/small/{name}", site.received / name) for name in site.names]
    config = _curl_config(site.folder / "curl-get.txt", "output", pairs)
    return lambda: _curl(site, "-Z", "--parallel-max", str(parallel), "-K", str(config))


def curl_put_small(site: Site, *, parallel: int) -> Callable[[], None]:
    """Return a call that uploads the small files to their final names."""
    pairs = [(f"{site.server.url}/sent/small/{name}", site.small / name) for name in site.names]
    config = _curl_config(site.folder / "curl-put.txt", "upload-file", pairs)
    return lambda: _curl(site, "-Z", "--parallel-max", str(parallel), "-K", str(config))


def davix_get(site: Site) -> None:
    """Download the large file."""
    target = str(site.received / "large.bin")
    command(["davix-get", *_davix_trust(site), f"{site.server.url}/large.bin", target])


def davix_put(site: Site) -> None:
    """Upload the large file."""
    command(["davix-put", *_davix_trust(site), str(site.large), f"{site.server.url}/sent/large.bin"])


def _curl(site: Site, *arguments: str) -> None:
    command(["curl", "-q", "-sS", "--fail", "--noproxy", "*", "--cacert", str(site.ca_file), *arguments])


def _curl_config(path: Path, option: str, pairs: Iterable[tuple[str, Path]]) -> Path:
    path.write_text("".join(f'url = "{url}"\n{option} = "{local}"\n' for url, local in pairs))
    return path


def _davix_trust(site: Site) -> list[str]:
    """Return davix's options for our CA: it takes a folder with OpenSSL's hashed names, and no file."""
    folder = site.folder / "hashed"
    if not has("openssl"):
        raise CannotRun(f"openssl {NOT_INSTALLED}")
    if not folder.exists():
        folder.mkdir()
        asked = ["openssl", "x509", "-in", str(site.ca_file), "-noout", "-hash"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=True)
        shutil.copyfile(site.ca_file, folder / f"{answer.stdout.strip()}.0")
    return ["--capath", str(folder)]
