"""The other tools, each asked in its own best way, all trusting the same CA."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.ours import bare_environment
from benchmarks.programs import NOT_INSTALLED, Usage, command, has, in_turn
from benchmarks.runner import Work
from benchmarks.site import Site

_SYSTEM_PYTHON = "/usr/bin/python3"
"""Debian's gfal2 is a module of Debian's Python, which another one in the PATH hides."""


def installed(work: dict[str, Work]) -> tuple[dict[str, Work], dict[str, str]]:
    """Return what can run, and the rows of programs that are not there; a row's name begins with its program."""
    present = {name: run for name, run in work.items() if not is_peer(name) or has(name.split()[0].rstrip(","))}
    return present, {name: NOT_INSTALLED for name in work if name not in present}


def is_peer(name: str) -> bool:
    """Tell whether a row is another tool's."""
    return not name.startswith("ctadata")


def curl_get(site: Site, *, most: int | None = None) -> Usage:
    """Download the large file, or its first bytes."""
    part = ["-r", f"0-{most - 1}"] if most else []
    return _curl(site, *part, "-o", str(site.received / "large.bin"), f"{site.url}/large.bin")


def curl_put(site: Site) -> Usage:
    """Upload the large file."""
    return _curl(site, "-T", str(site.large), f"{site.url}/sent/large.bin")


def curl_get_small(site: Site, *, parallel: int) -> Usage:
    """Download the small files; curl is told all names, it lists nothing."""
    pairs = [(f"{site.url}/small/{name}", site.received / name) for name in site.names]
    return _curl_many(site, "output", pairs, parallel)


def curl_put_small(site: Site, *, parallel: int) -> Usage:
    """Upload the small files to their final names."""
    pairs = [(f"{site.url}/sent/small/{name}", site.small / name) for name in site.names]
    return _curl_many(site, "upload-file", pairs, parallel)


def curl_list(site: Site, path: str, figure: str) -> Usage:
    """List a folder; the time is the one of curl's own figures that is named."""
    asked = ["-X", "PROPFIND", "-H", "Depth: 1", "-o", "/dev/null", "-w", f"%{{{figure}}}"]
    usage = _curl(site, *asked, f"{site.url}{path}/")
    return Usage(seconds=float(usage.output), cpu=usage.cpu, peak=usage.peak)


def davix_get(site: Site) -> Usage:
    """Download the large file."""
    return command(_davix_get(site, "large.bin", site.received / "large.bin"), env=bare_environment())


def davix_get_small(site: Site, *, count: int) -> Usage:
    """Download some of the small files, each by a process of its own."""
    argvs = [_davix_get(site, f"small/{name}", site.received / name) for name in site.names[:count]]
    return in_turn(argvs, env=bare_environment())


def davix_put(site: Site) -> Usage:
    """Upload the large file."""
    argv = ["davix-put", *_davix_trust(site), str(site.large), f"{site.url}/sent/large.bin"]
    return command(argv, env=bare_environment())


def gfal_get(site: Site) -> Usage:
    """Download the large file."""
    return _gfal_copy(site, f"{_davs(site)}/large.bin", f"file://{site.received}/large.bin")


def gfal_put(site: Site) -> Usage:
    """Upload the large file."""
    return _gfal_copy(site, f"file://{site.large}", f"{_davs(site)}/sent/large.bin")


def gfal_put_checked(site: Site) -> Usage:
    """Upload the large file, and compare its checksum with that of the server."""
    return _gfal_copy(site, "-K", "ADLER32", f"file://{site.large}", f"{_davs(site)}/sent/large.bin")


def rclone_get(site: Site, *, streams: int = 1) -> Usage:
    """Download the large file, in several streams if there are more than one."""
    parts = ["--multi-thread-streams", str(streams if streams > 1 else 0), "--multi-thread-cutoff", "1M"]
    return _rclone(site, "copyto", *parts, "site:large.bin", str(site.received / "large.bin"))


def rclone_put(site: Site) -> Usage:
    """Upload the large file."""
    return _rclone(site, "copyto", str(site.large), "site:sent/large.bin")


def rclone_get_small(site: Site, *, parallel: int) -> Usage:
    """Download the folder of small files, which rclone lists: by HTTP, for its WebDAV makes 100 requests a second."""
    return _rclone(site, "copy", "--transfers", str(parallel), "page:", str(site.received / "small"))


def rclone_put_small(site: Site, *, parallel: int, count: int) -> Usage:
    """Upload some of the small files, from their folder."""
    names = site.folder / "rclone.txt"
    names.write_text("".join(f"{name}\n" for name in site.names[:count]))
    some = ["--files-from-raw", str(names), "--no-traverse"]
    return _rclone(site, "copy", "--transfers", str(parallel), *some, str(site.small), "site:sent/small")


def aria2c_get(site: Site, *, streams: int = 1) -> Usage:
    """Download the large file, in several streams if there are more than one."""
    split = [f"-x{streams}", f"-s{streams}", "-k1M"]
    return _aria2c(site, *split, "-d", str(site.received), "-o", "large.bin", f"{site.url}/large.bin")


def aria2c_get_small(site: Site, *, parallel: int) -> Usage:
    """Download the small files; aria2c is told all names, it lists nothing."""
    names = site.folder / "aria2c.txt"
    lines = (f"{site.url}/small/{name}\n  dir={site.received}\n  out={name}\n" for name in site.names)
    names.write_text("".join(lines))
    return _aria2c(site, f"-j{parallel}", "-x1", "-s1", "-i", str(names))


def _curl(site: Site, *arguments: str) -> Usage:
    argv = ["curl", "-q", "-sS", "--fail", "--noproxy", "*", "--cacert", str(site.ca_file)]
    if site.certificate:
        certificate, key = site.certificate
        argv += ["--cert", str(certificate), "--key", str(key)]
    return command([*argv, *arguments], env=bare_environment())


def _curl_many(site: Site, option: str, pairs: Iterable[tuple[str, Path]], parallel: int) -> Usage:
    config = site.folder / "curl.txt"
    config.write_text("".join(f'url = "{url}"\n{option} = "{local}"\n' for url, local in pairs))
    return _curl(site, "-Z", "--parallel-max", str(parallel), "-K", str(config))


def _davix_get(site: Site, path: str, target: Path) -> Sequence[str]:
    return ["davix-get", *_davix_trust(site), f"{site.url}/{path}", str(target)]


def _davix_trust(site: Site) -> list[str]:
    """Return davix's options for our CA (it takes a hashed folder, and no file) and for the user."""
    options = ["--capath", str(site.ca_folder)]
    if site.certificate:
        certificate, key = site.certificate
        options += ["-E", str(certificate), "--key", str(key)]
    return options


def _davs(site: Site) -> str:
    return site.url.replace("https://", "davs://", 1)


def _gfal_copy(site: Site, *arguments: str) -> Usage:
    certificate = {}
    if site.certificate:
        certificate = dict(zip(("X509_USER_CERT", "X509_USER_KEY"), map(str, site.certificate), strict=True))
    trust = {"X509_CERT_DIR": str(site.ca_folder), "GFAL_PYTHONBIN": _SYSTEM_PYTHON}
    return command(["gfal-copy", "-f", *arguments], env=bare_environment(**trust, **certificate))


def _rclone(site: Site, *arguments: str) -> Usage:
    config = site.folder / "rclone.conf"
    webdav = f"[site]\ntype = webdav\nurl = {site.url}\nvendor = other\n"
    config.write_text(f"{webdav}\n[page]\ntype = http\nurl = {site.url}/small/\nno_head = true\n")
    argv = ["rclone", "--config", str(config), "--ca-cert", str(site.ca_file)]
    if site.certificate:
        certificate, key = site.certificate
        argv += ["--client-cert", str(certificate), "--client-key", str(key)]
    return command([*argv, *arguments], env=bare_environment())


def _aria2c(site: Site, *arguments: str) -> Usage:
    argv = ["aria2c", "--no-conf", "-q", "--no-netrc", "--disable-ipv6", "--file-allocation=none"]
    # Of itself it asks for SHA-512, which XRootD answers with 500; adler32 has been computed before.
    argv += ["--header=Want-Digest: adler32", f"--ca-certificate={site.ca_file}"]
    if site.certificate:
        certificate, key = site.certificate
        argv += [f"--certificate={certificate}", f"--private-key={key}"]
    return command([*argv, *arguments], env=bare_environment())
