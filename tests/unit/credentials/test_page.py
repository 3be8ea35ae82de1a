"""The manual page says what the code says: its messages exist, its commands can be parsed."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import ctadata_providers
from ctadata_providers.cli.parser import parse

PAGE = (Path(__file__).parents[3] / "docs" / "credentials.md").read_text(encoding="utf-8")
CELLS = re.findall(r"^\| `([^|]+)` \| ", PAGE.partition("# What the messages mean")[2], re.MULTILINE)
MESSAGES = [message for cell in CELLS for message in cell.split("`, `")]
COMMANDS = re.findall(r"^\$ (ctadata [^\n#&]*)", PAGE, re.MULTILINE)


def texts() -> Iterator[str]:
    """All texts of the package, with `…` for what is filled in."""
    for path in Path(ctadata_providers.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


ALL_TEXTS = "\n".join(texts())


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_the_page_is_one_of_the_code(message: str) -> None:
    words = re.sub(r"\d+", "…", message).strip("… ").split("…")

    assert re.search("[^\n]*".join(re.escape(word.strip()) for word in words), ALL_TEXTS)


def test_the_page_has_messages_and_commands() -> None:
    assert len(MESSAGES) > 20
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_can_be_parsed(command: str) -> None:
    assert parse(shlex.split(command)[1:]).command
