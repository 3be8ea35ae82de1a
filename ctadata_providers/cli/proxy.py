"""The sub-commands `proxy create` and `proxy info`, with what they take."""

import argparse
import math
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctadata_providers.cli.options import Commands, command, group
from ctadata_providers.cli.output import Output, utc
from ctadata_providers.cli.prompt import ask, has_terminal
from ctadata_providers.errors import CredentialError

if TYPE_CHECKING:
    from ctadata_providers.certificates import ProxyInfo

_AS_STDIN = "give it on standard input: ctadata proxy create --passphrase -"


def add_proxy(commands: Commands) -> None:
    """Add `proxy create` and `proxy info`."""
    proxies = group(
        commands,
        "proxy",
        "make X.509 proxies, and look at them",
        examples="  ctadata proxy create\n  ctadata proxy info",
    )
    _add_create(proxies)
    _add_info(proxies)


def create(args: argparse.Namespace, output: Output) -> int:
    """Make a proxy of the user's certificate, and print what it is."""
    from ctadata_providers.certificates import create_proxy

    made = create_proxy(
        getattr(args, "cert_file", None),
        getattr(args, "key_file", None),
        out=args.out,
        hours=args.hours,
        key_type=args.key_type,
        limited=args.limited,
        passphrase=_read_passphrase if args.passphrase and not has_terminal() else _ask_passphrase,
    )
    left = made.life_left(time.time())
    output.record(_facts(made), f"{made.path} is good for {_span(left)} h, until {utc(made.expires_at)}")
    if left < args.hours * 3600 - 60:
        output.say("its certificate ends then")
    return 0


def info(args: argparse.Namespace, output: Output) -> int:
    """Print what a proxy is; 1 when it cannot be used."""
    from ctadata_providers.certificates import inspect_proxy, proxy_path

    found = inspect_proxy(proxy_path() if args.file is None else args.file)
    shown = {
        "file": found.path,
        "subject": found.subject,
        "issuer": found.issuer,
        "identity": found.identity,
        "type": found.kind,
        "strength": found.strength,
        "path length": "no limit" if found.path_length is None else found.path_length,
        "valid": f"{utc(found.starts_at)} to {utc(found.expires_at)}",
        "time left": _span(found.life_left(time.time())),
        "usable": "yes" if found.usable else f"no: {found.fault}",
    }
    output.record(_facts(found), *(f"{name + ':':<13}{value}" for name, value in shown.items()))
    return 0 if found.usable else 1


def _add_create(proxies: Commands) -> None:
    parser = command(
        proxies,
        "create",
        "make an RFC 3820 proxy of your certificate",
        "",
        examples="  ctadata proxy create\n  ctadata proxy create --valid 24:00 --out ~/proxy.pem\n"
        "  ctadata proxy create --cert-file alice.p12 --passphrase - < passphrase-file",
        settings=False,
    )
    parser.add_argument(
        "--cert-file",
        metavar="FILE",
        default=argparse.SUPPRESS,  # it may also stand before the command
        help="certificate, PEM or PKCS#12; a proxy too (default: X509_USER_CERT, ~/.globus/usercert.pem or "
        "~/.globus/usercred.p12)",
    )
    parser.add_argument(
        "--key-file",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="its key (default: in the file of the certificate; of a default certificate X509_USER_KEY, "
        "~/.globus/userkey.pem)",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="file to write (default: X509_USER_PROXY, else /tmp/x509up_u and your number)"
    )
    life = parser.add_mutually_exclusive_group()
    life.add_argument("--hours", metavar="N", type=_hours, default=12.0, help="how long it is good (default: 12)")
    life.add_argument("--valid", metavar="H:MM", type=_clock, dest="hours", help="the same, as other tools have it")
    parser.add_argument(
        "--key-type", choices=("rsa", "ec"), default="rsa", help="rsa: 2048 bits; ec: P-256 (default: rsa)"
    )
    parser.add_argument("--limited", action="store_true", help="one that may not start jobs")
    parser.add_argument(
        "--passphrase",
        metavar="-",
        type=_dash,
        default=False,
        help="read the passphrase of the key from standard input (default: ask on the terminal)",
    )


def _add_info(proxies: Commands) -> None:
    parser = command(
        proxies,
        "info",
        "tell what a proxy is, and whether it can be used (else exit code 1)",
        "[FILE]",
        examples="  ctadata proxy info\n  ctadata proxy info --json | jq .seconds_left",
        settings=False,
    )
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="default: X509_USER_PROXY, else /tmp/x509up_u and your number"
    )


def _facts(proxy: "ProxyInfo") -> dict[str, Any]:
    fault = proxy.fault
    return {
        "path": str(proxy.path),
        "subject": proxy.subject,
        "issuer": proxy.issuer,
        "identity": proxy.identity,
        "type": proxy.kind,
        "strength": proxy.strength,
        "path_length": proxy.path_length,
        "starts_at": utc(proxy.starts_at),
        "expires_at": utc(proxy.expires_at),
        "seconds_left": max(0, math.floor(proxy.life_left(time.time()))),
        "usable": proxy.usable,
        "fault": fault and fault.message,
        "remedy": fault and fault.remedy,
    }


def _span(seconds: float) -> str:
    """Return a time as hours, minutes and seconds.

    >>> _span(43199.5), _span(-1)
    ('11:59:59', '0:00:00')
    """
    whole = max(0, math.floor(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not (math.isfinite(hours) and hours > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a number of hours")
    return hours


def _clock(text: str) -> float:
    """Return the hours of `H:MM`."""
    found = re.fullmatch(r"(\d{1,6}):([0-5]\d)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is not a time as 12:00")
    return _hours(str(int(found[1]) + int(found[2]) / 60))


def _dash(text: str) -> bool:
    if text != "-":
        # What was given may be the passphrase: it is not told again.
        raise argparse.ArgumentTypeError(
            "takes only '-', for standard input: everybody on this machine can read a command line"
        )
    return True


def _read_passphrase(path: Path) -> str:
    line = b"" if sys.stdin is None else sys.stdin.buffer.readline()
    if not line:
        raise CredentialError(f"no passphrase of {path} came on standard input", path=path, remedy=_AS_STDIN)
    return line.decode("utf-8", "surrogateescape").rstrip("\r\n")


def _ask_passphrase(path: Path) -> str:
    if not has_terminal():
        raise CredentialError(
            f"the private key in {path} is encrypted, and there is no terminal to ask for its passphrase",
            path=path,
            remedy=_AS_STDIN,
        )
    return ask(f"passphrase of {path}", prompt=f"Passphrase of {path}: ", remedy="try again", path=path)
