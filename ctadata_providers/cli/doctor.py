"""`ctadata doctor` and `ctadata whoami`: which credential is used, where, and for whom."""

import argparse
import time
from typing import TYPE_CHECKING, Any

from ctadata_providers.cli.options import Commands, command, config_of
from ctadata_providers.cli.output import Output, utc
from ctadata_providers.cli.token import lines

if TYPE_CHECKING:
    from ctadata_providers import Config
    from ctadata_providers.credentials.survey import Found, Report


def add_doctor(commands: Commands) -> None:
    """Add `doctor`."""
    parser = command(
        commands,
        "doctor",
        "tell which credential is used, what it is good for, and what to do if it is not",
        "",
        examples="  ctadata doctor\n  ctadata doctor --online     # also asks the door\n"
        "  ctadata doctor --profile dev --json | jq .used",
    )
    parser.add_argument("--online", action="store_true", help="ask the door for its root, once: does it let us in?")


def add_whoami(commands: Commands) -> None:
    """Add `whoami`."""
    command(
        commands,
        "whoami",
        "print your own folder at the data centre",
        "",
        examples="  ctadata whoami\n  ctadata put plot.png $(ctadata whoami)/",
    )


def doctor(args: argparse.Namespace, output: Output) -> int:
    """Print which credential is used and all there is to know of it; 1 when there is none that can be used."""
    from ctadata_providers.credentials import survey

    config = config_of(args)
    if config.backend == "downloadservice":
        from ctadata_providers.cli.services import doctor_of_services

        return doctor_of_services(config, output)
    report = survey.report(config)
    door = _ask(config) if args.online else None
    told = _told(config, report, door)
    output.record(told, *_lines(told, report))
    return 0 if report.usable and not (door and "error" in door) else 1


def whoami(args: argparse.Namespace, output: Output) -> int:
    """Print the user's own folder."""
    from ctadata_providers import CtaClient
    from ctadata_providers.credentials import resolve
    from ctadata_providers.credentials.homes import Home, find_home

    config = config_of(args)
    if config.home is not None:
        home = Home(config.home, "the setting home")
    elif config.backend == "downloadservice":
        with CtaClient(config) as client:
            home = Home(client.home(), "the hub, by the hub token")
    else:
        with CtaClient(config) as client:
            home = find_home(resolve(config).token(), lambda path: client.stat(path).is_dir)
    output.record({"home": home.path, "how": home.how}, home.path)
    if output.verbose:
        output.say(f"as told by {home.how}")
    return 0


def _ask(config: "Config") -> dict[str, Any]:
    """Ask the door for its root, once, and return what it said."""
    from ctadata_providers.backends import open_backend
    from ctadata_providers.backends.base import ClockBackend
    from ctadata_providers.errors import CtaError

    backend = open_backend(config.with_settings(retries=0))
    told: dict[str, Any] = {"answer": "it lets us in"}
    try:
        backend.stat("/")
    except CtaError as error:
        told = {"error": error.message, "remedy": error.remedy}
    finally:
        backend.close()
    return {**told, "clock_ahead": backend.clock_ahead() if isinstance(backend, ClockBackend) else None}


def _told(config: "Config", report: "Report", door: dict[str, Any] | None) -> dict[str, Any]:
    from ctadata_providers.credentials.agent import control as agent
    from ctadata_providers.credentials.survey import facts, shown_proxy, trusted_places

    running = agent.running(config)
    token = facts(report.token, time.time()) if report.token else None
    if token:
        token["expires_at"] = utc(token["expires_at"])
    return {
        "profile": config.profile,
        "door_url": config.door_url,
        "trusted_hosts": list(config.trusted_hosts),
        "used": report.chosen.name if report.chosen and report.usable else None,
        "sources": [_place(found) for found in report.found],
        "token": token,
        "certificate": _certificate(report),
        "refreshable": bool(report.usable and report.chosen and report.chosen.refreshable),
        "trust": [str(place) for place in trusted_places(config.ca_path)],
        "proxies": {url: shown_proxy(url) for url in (config.door_url, config.issuer) if url},
        "agent": running and {"pid": running.pid, "token_file": str(running.token_file), "error": running.error},
        "online": door,
        "error": report.fault.message if report.fault else None,
        "next": report.advice,
    }


def _place(found: "Found") -> dict[str, Any]:
    return {
        "name": found.name,
        "place": found.place,
        "state": found.state,
        "refreshable": found.refreshable,
        "why": found.why,
        "remedy": found.remedy,
    }


def _certificate(report: "Report") -> dict[str, Any] | None:
    shown = report.certificate
    if shown is None:
        return None
    return {
        "file": str(shown.path),
        "identity": shown.identity,
        "kind": shown.kind,
        "expires_at": utc(shown.expires_at),
    }


def _lines(told: dict[str, Any], report: "Report") -> list[str]:
    """Return what was found for people."""
    proxies = ", ".join(f"{proxy} for {url}" for url, proxy in told["proxies"].items() if proxy)
    agent, door, shown = told["agent"], told["online"], told["certificate"]
    parts = [
        f"profile {told['profile']}, door {told['door_url']}",
        f"credentials go to {' and '.join((told['door_url'], *told['trusted_hosts']))} alone",
        "sources, the first that can be used counts:",
        *(f"  {found.state:9} {found.name:16} {found.place}{_reason(found)}" for found in report.found),
    ]
    if told["token"]:
        told_token = {**told["token"], "refreshable": "yes" if told["refreshable"] else "no"}
        parts += ["token:", *(f"  {line}" for line in lines(told_token))]
    if shown:
        parts.append(f"certificate: {shown['identity']} ({shown['kind']}), until {shown['expires_at']}")
    parts += [
        f"trusted CAs: {', '.join(told['trust'])}; revocation lists are not checked",
        f"proxy: {proxies or 'none'}",
        f"agent: {_agent(agent)}",
    ]
    if door:
        parts.append(f"door: {door.get('error') or door['answer']}")
        parts.append(f"clock: {_clock(door['clock_ahead'])}")
    remedy = (door or {}).get("remedy")
    return [*parts, *([f"error: {told['error']}"] if told["error"] else []), f"next: {remedy or told['next']}"]


def _clock(ahead: float | None) -> str:
    if ahead is None:
        return "the door does not tell its time"
    # Its answers tell whole seconds, and take a while to come.
    return "that of the door agrees with ours" if abs(ahead) < 2 else f"that of the door is {ahead:+.0f} s off"


def _agent(agent: dict[str, Any] | None) -> str:
    if agent is None:
        return "not running"
    return f"process {agent['pid']} keeps {agent['token_file']} fresh" + (
        f"; {agent['error']}" if agent["error"] else ""
    )


def _reason(found: "Found") -> str:
    return f": {found.why}" + (f"; {found.remedy}" if found.remedy else "") if found.why else ""
