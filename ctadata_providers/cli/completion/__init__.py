"""What the shells ask for when the user presses the tabulator key, and the scripts that let them ask.

Neither shtab nor argcomplete serves here: the first makes scripts that know words and no remote names, the other cannot
follow options between paths and groups of commands.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from ctadata_providers.cli.options import Commands, command
from ctadata_providers.cli.output import Output

REQUEST = "__complete"
"""The word by which a shell's script asks; no user types it."""
SHELLS = ("bash", "zsh", "fish")


def add_completion(commands: Commands) -> None:
    """Add `completion`."""
    parser = command(
        commands,
        "completion",
        "print what lets a shell complete commands, options and remote paths",
        "SHELL",
        examples="  ctadata completion fish > ~/.config/fish/completions/ctadata.fish\n"
        '  eval "$(ctadata completion bash)"     # in ~/.bashrc\n'
        '  eval "$(ctadata completion zsh)"      # in ~/.zshrc',
        settings=False,
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")


def completion(args: argparse.Namespace, output: Output) -> int:
    """Print the script for a shell."""
    from importlib.resources import files

    sys.stdout.write(files(__package__).joinpath(f"ctadata.{args.shell}").read_text("utf-8"))
    return 0


def answer(arguments: Sequence[str]) -> int:
    """Answer the script of a shell: a line with the kind of what follows, then a candidate a line.

    It reads what has been typed from standard input: for bash the line up to the cursor, for the others the words up to
    there, each with a NUL behind it. Whatever goes wrong, it says nothing. The process ends with it, without waiting
    for a server that is silent.

    Args:
        arguments: The name of the shell.
    """
    code = 1
    try:
        sys.stdout.buffer.write(_answered(arguments[0] if arguments else ""))
        sys.stdout.buffer.flush()
        code = 0
    except Exception:  # noqa: BLE001, S110 (nobody asked for a message: the prompt would be spoilt)
        pass
    finally:
        os._exit(code)


def _answered(shell: str) -> bytes:
    import logging

    from ctadata_providers.cli.completion.line import split_line
    from ctadata_providers.cli.completion.words import candidates

    logging.disable()
    given = sys.stdin.buffer.read().decode(errors="surrogateescape")
    if shell == "bash":
        typed = split_line(given, os.environ.get("COMP_WORDBREAKS", ""))
        words, current, cut, redirected = typed.words[1:], typed.current, typed.cut, typed.redirected
    else:
        *words, current, _ = ["", *given.split("\0")] if "\0" not in given else given.split("\0")
        cut, redirected = 0, False
    found = candidates(words, current, redirected=redirected)
    lines = [found.kind, *(f"{one.text[cut:]}\t{one.about}" if one.about else one.text[cut:] for one in found.items)]
    return "\n".join(lines).encode(errors="surrogateescape") + b"\n"
