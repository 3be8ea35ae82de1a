"""What is typed in and not shown: secrets and passphrases."""

import getpass
import sys
from pathlib import Path

from ctadata_providers.errors import CredentialError


def has_terminal() -> bool:
    """Tell whether there is somebody to ask."""
    return sys.stdin is not None and sys.stdin.isatty()  # None: it is closed


def ask(what: str, *, prompt: str, remedy: str, path: Path | None = None) -> str:
    """Return what is typed in at the terminal, without showing it.

    Args:
        what: What is asked for.
        prompt: The question.
        remedy: What else the user can do.
        path: The file that it is of.

    Raises:
        CredentialError: When nothing is typed in, or no text.
    """
    try:
        return getpass.getpass(prompt)
    except EOFError:
        fault = f"no {what} was typed in"
    except UnicodeDecodeError:
        fault = f"the {what} was typed in another encoding than the terminal's"
    # Not while the error is at hand: it holds what was typed in.
    raise CredentialError(fault, path=path, remedy=remedy)
