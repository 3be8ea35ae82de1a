"""The sub-commands `certificate upload` and `certificate status`, with what they take."""

import argparse
import time
from typing import TYPE_CHECKING, Any

from ctadata_providers.cli.options import Commands, command, config_of, group
from ctadata_providers.cli.output import Output, utc
from ctadata_providers.errors import ConfigError

if TYPE_CHECKING:
    from ctadata_providers.certificates import CertificateKey, KeyStatus, ServiceStatus, UploadedCertificate

KEYS: "tuple[CertificateKey, ...]" = ("lst", "cta", "arc")
_KEY_HELP = "what it is for: lst or cta for paths below these, arc for all others"


def add_certificate(commands: Commands) -> None:
    """Add `certificate upload` and `certificate status`."""
    certificates = group(
        commands,
        "certificate",
        "give your proxy to the CTA services, and see whether it works there",
        examples="  ctadata proxy create\n  ctadata certificate upload --key lst\n  ctadata certificate status",
    )
    _add_upload(certificates)
    _add_status(certificates)


def upload(args: argparse.Namespace, output: Output) -> int:
    """Give a proxy to the certificateservice, and print until when it is good there."""
    if args.shared and (args.key or args.user):
        raise ConfigError("usage: --shared has neither --key nor --user", remedy="leave them out")
    from ctadata_providers.certificates import proxy_path, upload_personal, upload_shared

    config = config_of(args)
    path = config.proxy_file or proxy_path() if args.path is None else args.path
    given = (
        upload_shared(path, config=config)
        if args.shared
        else upload_personal(path, args.key or "cta", user=args.user, config=config)
    )
    what = "the shared certificate" if args.shared else f"the certificate for {given.key}"
    whose = f" of {args.user}" if args.user else ""
    output.record(_facts(given), f"{given.path} is {what}{whose} at the services until {utc(given.expires_at)}")
    return 0


def status(args: argparse.Namespace, output: Output) -> int:
    """Print how the services are, and whether one's certificates work there; 1 when one cannot work with them."""
    from ctadata_providers.certificates import status as ask

    found = ask(config_of(args), keys=[args.key] if args.key else KEYS)
    for service in found.services:
        output.record(
            _service_facts(service), _line(service.name, "well" if service.well else "NOT well", service.said)
        )
    for key in found.keys:
        output.record(_key_facts(key), _line(f"key {key.key}", key.state, key.said))
        if key.remedy:
            output.say(f"{key.key}: {key.remedy}")
    return 0 if found.well else 1


def _add_upload(certificates: Commands) -> None:
    parser = command(
        certificates,
        "upload",
        "give a proxy to the certificateservice, which then uses it for you; never a long-lived certificate",
        "[PATH]",
        examples="  ctadata proxy create && ctadata certificate upload --key lst\n"
        "  ctadata certificate upload --shared robot-proxy.pem",
    )
    parser.add_argument(
        "path",
        nargs="?",
        metavar="PATH",
        help="default: --proxy-file (X509_USER_PROXY), else /tmp/x509up_u and your number",
    )
    parser.add_argument("--key", choices=KEYS, help=f"{_KEY_HELP} (default: cta)")
    parser.add_argument("--shared", action="store_true", help="the one that serves users without their own")
    parser.add_argument("-u", "--user", metavar="USER", help="whose it is, for administrators (default: yours)")


def _add_status(certificates: Commands) -> None:
    parser = command(
        certificates,
        "status",
        "tell how the CTA services are, and whether your certificates work there (else exit code 1)",
        "",
        examples="  ctadata certificate status\n  ctadata certificate status --key lst --json",
    )
    parser.add_argument("--key", choices=KEYS, help="ask about this one only")


def _line(name: str, state: str, said: str) -> str:
    """Return a line of a table.

    >>> _line("storage", "well", "OK")
    'storage:            well: OK'
    """
    return f"{name + ':':<20}{state}{f': {said}' if said else ''}"


def _facts(given: "UploadedCertificate") -> dict[str, Any]:
    return {
        "path": str(given.path),
        "identity": given.identity,
        "key": given.key,
        "user": given.user,
        "shared": given.key is None,
        "expires_at": utc(given.expires_at),
        "seconds_left": max(0, int(given.expires_at - time.time())),
        "message": given.message,
        "validity": given.validity,
    }


def _service_facts(service: "ServiceStatus") -> dict[str, Any]:
    return {
        "service": service.name,
        "url": service.url,
        "well": service.well,
        "said": service.said,
        "needed": service.needed,
    }


def _key_facts(key: "KeyStatus") -> dict[str, Any]:
    return {"key": key.key, "state": key.state, "works": key.state == "works", "said": key.said, "remedy": key.remedy}
