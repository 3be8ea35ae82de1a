"""The sub-commands `agent start`, `agent status`, `agent stop`, and `start-agent`, `stop-agent` as ctadata has them."""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ctadata_providers.cli.options import Commands, command, group
from ctadata_providers.cli.output import Output, utc
from ctadata_providers.errors import ConfigError

if TYPE_CHECKING:
    from ctadata_providers import Config
    from ctadata_providers.credentials.agent.control import AgentStatus

PROMPT, _STANDARD_INPUT = "", "-"


def add_agent(commands: Commands) -> None:
    """Add `agent start`, `agent status` and `agent stop`."""
    agents = group(
        commands,
        "agent",
        "keep a token file fresh in the background",
        examples="  ctadata agent start\n  ctadata agent status\n  ctadata agent stop",
    )
    parser = command(
        agents,
        "start",
        "keep a token file fresh in the background, after a login if there is none yet",
        "",
        examples="  ctadata agent start                      # the file in which all WLCG tools look first\n"
        "  ctadata agent start --token-file ~/token # this one\n"
        "  ctadata agent start --grant-type client_credentials --client-secret-file ~/robot.secret",
    )
    parser.description = f"{parser.description}\nThe file is --token-file, by default the one of WLCG token discovery."
    command(agents, "status", "tell whether the agent runs, and how it does", "", examples="  ctadata agent status")
    command(agents, "stop", "end the agent, and wait until it has ended", "", examples="  ctadata agent stop")


def start(args: argparse.Namespace, output: Output) -> int:
    """Start the agent."""
    config, secret = _client_of(args)
    return _start(config, _target(args), output, secret=secret)


def status(args: argparse.Namespace, output: Output) -> int:
    """Print how the agent does; 1 when none runs."""
    from ctadata_providers.credentials.agent import control as agent

    config, _ = _client_of(args)
    found = agent.running(config)
    if found is None:
        output.record({"running": False}, "no agent runs for these settings; 'ctadata agent start' starts one")
        for other in agent.others(config):
            output.say(f"the agent of {other.account} runs, process {other.pid}")
        return 1
    failure = f"{found.error} (since {utc(found.failing_since)})" if found.error else "none"
    output.record(
        _facts(found),
        f"agent:      process {found.pid}, account {found.account}, since {utc(found.since)}",
        f"token file: {found.token_file}, {_validity(found)}",
        f"last error: {failure}",
        f"log:        {found.log}",
    )
    return 0


def stop(args: argparse.Namespace, output: Output) -> int:
    """End the agent."""
    from ctadata_providers.credentials.agent import control as agent

    config, _ = _client_of(args)
    pid = agent.stop(config)
    output.record(
        {"running": False, "pid": pid},
        "no agent runs for these settings" if pid is None else f"the agent, process {pid}, has ended",
    )
    if pid is None:
        for other in agent.others(config):
            output.say(f"the agent of {other.account} runs, process {other.pid}")
    return 0


def start_agent(args: argparse.Namespace, output: Output) -> int:
    """Start the agent as ctadata does: for ctadata's token file, after a login with a secret if one is given."""
    if args.reset_secret not in (None, PROMPT, _STANDARD_INPUT):
        raise ConfigError(
            "usage: every user of this machine can read a secret that stands in a command line",
            remedy="use '-s' to be asked for it, or '-s -' to give it on standard input; and get a new secret, this "
            "one was seen",
        )
    choose_dev(args)
    config, secret = _client_of(args)
    target = _target(args) or _ctadata_target(config)
    if args.reset_secret is not None:
        from ctadata_providers.cli import login

        login.log_in(config, output, secret=login.read_secret(args.reset_secret))
    return _start(config, target, output, secret=secret)


def stop_agent(args: argparse.Namespace, output: Output) -> int:
    """End the agent, by the name that ctadata has for it."""
    choose_dev(args)
    return stop(args, output)


def _start(config: "Config", target: Path | None, output: Output, *, secret: str | None) -> int:
    from ctadata_providers.cli import login
    from ctadata_providers.credentials.agent import control as agent

    has_login = config.grant_type == "refresh_token" and not (config.token_command or config.oidc_account)
    log_in = partial(login.log_in, config, output, secret=secret) if has_login and config.issuer else None
    found = agent.start(config, target, log_in=log_in)
    output.record(_facts(found), f"the agent, process {found.pid}, keeps {found.token_file} fresh: {_validity(found)}")
    if config.token is not None:
        output.say("BEARER_TOKEN is set here, and commands of this shell take it instead: unset it")
    return 0


def _client_of(args: argparse.Namespace) -> "tuple[Config, str | None]":
    """Return the settings, and the client secret if standard input gives it.

    Here --token-file is not where tokens come from, but where they go.
    """
    from ctadata_providers.cli.login import client_of

    config, secret = client_of(argparse.Namespace(**{**vars(args), "token_file": None}))
    if secret is not None and config.grant_type == "client_credentials":
        return config.with_settings(grant_type=config.grant_type, client_secret=secret), None
    return config, secret


def _target(args: argparse.Namespace) -> Path | None:
    given = getattr(args, "token_file", None)
    return Path(given) if given else None


def _ctadata_target(config: "Config") -> Path:
    from ctadata_providers.credentials.agent import control

    target = control.ctadata_target(config)
    control.make_folder(target)
    return target


def choose_dev(args: argparse.Namespace) -> None:
    """Let --dev stand for --profile dev."""
    if args.dev:
        if getattr(args, "profile", "dev") != "dev":
            raise ConfigError("usage: --dev means --profile dev", remedy="give one of the two")
        args.profile = "dev"


def _facts(found: "AgentStatus") -> dict[str, object]:
    return {
        "running": True,
        "account": found.account,
        "pid": found.pid,
        "since": utc(found.since),
        "token_file": str(found.token_file) if found.token_file else None,
        "expires_at": utc(found.expires_at),
        "seconds_left": None if found.expires_at is None else round(found.expires_at - time.time()),
        "error": found.error,
        "failing_since": utc(found.failing_since),
        "log": str(found.log),
    }


def _validity(found: "AgentStatus") -> str:
    if found.expires_at is None:
        return "its token does not tell when it ends"
    left = found.expires_at - time.time()
    return f"valid for {left:.0f} s" if left > 0 else f"expired {-left:.0f} s ago"
