"""What may follow on a command line: commands, options, their values, local files and remote paths."""

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ctadata_providers import uri
from ctadata_providers.cli.completion.remote import names_in
from ctadata_providers.cli.options import OPTIONS
from ctadata_providers.config import BackendName, ChecksumMode, GrantType, RefreshMode, profile_names

Place = Literal["remote", "local", "both", "either"]
"""What an argument names; `either`: a `cta://` address is remote, all else local."""
_PLACES: dict[str, Place] = {
    **dict.fromkeys(("PATH", "REMOTE", "SOURCE", "TARGET"), "remote"),
    **dict.fromkeys(("LOCAL", "FILE", "DIR"), "local"),
}
_OF_COMMANDS: dict[str, tuple[Place, ...]] = {
    "get": ("remote", "both"),
    "put": ("local", "both"),
    "sync": ("either",),
}
"""What the arguments of a command name, where their placeholders do not tell; the last holds for all that follow."""
_VALUES = {
    "backend": get_args(BackendName),
    "checksum": get_args(ChecksumMode),
    "grant_type": get_args(GrantType),
    "refresh": get_args(RefreshMode),
}
"""Of settings whose values are few, by their names."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a word may become.

    Attributes:
        text: The whole word.
        about: What it is, for a shell that shows that.
    """

    text: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a word may become.

    Attributes:
        kind: Whether they are plain words, or paths, of which a shell shows the last name and quotes it.
        items: They.
    """

    kind: Literal["words", "paths"]
    items: Sequence[Candidate] = ()


@dataclass(slots=True)
class _Typed:
    """What the words before the cursor have said.

    Attributes:
        parser: Of the command, or of the group, that has been reached.
        arguments: Words that are neither options nor their values.
        settings: Settings that were given, by their names.
        flags: Other options that were given, by the names of their values.
        pending: The option whose value comes next.
        only_arguments: Whether `--` has been typed.
    """

    parser: argparse.ArgumentParser
    arguments: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    pending: argparse.Action | None = None
    only_arguments: bool = False


def candidates(words: Sequence[str], current: str, *, redirected: bool = False) -> Candidates:
    """Return what the word that is being typed may become.

    Args:
        words: Those before it, without `ctadata`.
        current: What is there of it.
        redirected: Whether it names where standard input or output goes.
    """
    from ctadata_providers.cli.parser import command_line

    if redirected:
        return Candidates("paths", list(_local(current)))
    typed = _read(_Typed(command_line()), words)
    if typed is None:
        return Candidates("words")
    name, equals, value = current.partition("=")
    option = typed.parser._option_string_actions.get(name) if current.startswith("--") and equals else None
    if typed.pending is not None:
        return _values(typed.pending, current)
    if option is not None and not typed.only_arguments:
        found = _values(option, value)
        return Candidates(found.kind, [Candidate(f"{name}={one.text}", one.about) for one in found.items])
    if current.startswith("-") and not typed.only_arguments:
        return Candidates("words", [one for one in _options(typed.parser) if one.text.startswith(current)])
    commands = _commands(typed.parser)
    if commands is not None:
        # Of other names for what is in the list, which have no help, nothing is told.
        listed = {str(one.metavar or one.dest): one.help or "" for one in commands._choices_actions}
        return Candidates("words", [Candidate(*item) for item in listed.items() if item[0].startswith(current)])
    return _arguments(typed, current)


def _read(typed: _Typed, words: Iterable[str]) -> _Typed | None:
    """Go through the words, as the parser would; None when there is no such command."""
    for word in words:
        if typed.pending is not None:
            _take(typed, typed.pending, word)
            typed.pending = None
        elif word == "--" and not typed.only_arguments:
            typed.only_arguments = True
        elif word.startswith("-") and len(word) > 1 and not typed.only_arguments:
            _read_option(typed, word)
        else:
            commands = _commands(typed.parser)
            if commands is None:
                typed.arguments.append(word)
            elif word in commands.choices:
                typed.parser = commands.choices[word]
            else:
                return None
    return typed


def _read_option(typed: _Typed, word: str) -> None:
    known = typed.parser._option_string_actions
    name, equals, value = word.partition("=")
    action = known.get(name)
    if action is not None and equals:
        _take(typed, action, value)
    elif action is not None:
        _take(typed, action, None)
    else:  # -rl, -n5
        for at, letter in enumerate(word[1:], start=2):
            action = known.get(f"-{letter}")
            if action is None or (_has_value(action) and word[at:]):
                return
            _take(typed, action, None)


def _take(typed: _Typed, action: argparse.Action, value: str | None) -> None:
    if value is None and _has_value(action):
        typed.pending = action
    elif action.dest in OPTIONS:
        typed.settings[action.dest] = "true" if value is None else value
    else:
        typed.flags.add(action.dest)


def _has_value(action: argparse.Action) -> bool:
    return action.nargs is None or (isinstance(action.nargs, int) and action.nargs > 0) or action.nargs in ("+", "*")


def _commands(parser: argparse.ArgumentParser) -> "argparse._SubParsersAction[Any] | None":
    return next((one for one in parser._actions if isinstance(one, argparse._SubParsersAction)), None)


def _options(parser: argparse.ArgumentParser) -> Iterator[Candidate]:
    for action in parser._actions:
        for name in action.option_strings:
            yield Candidate(name, (action.help or "").partition(";")[0])


def _values(action: argparse.Action, current: str) -> Candidates:
    """Return what the value of an option or argument may become."""
    choices = tuple(map(str, action.choices or ())) or _VALUES.get(action.dest, ())
    if action.dest == "profile":
        choices = profile_names(os.environ)
    if choices:
        return Candidates("words", [Candidate(text) for text in choices if text.startswith(current)])
    if action.metavar in ("FILE", "DIR") or action.dest == "ca_path":
        return Candidates("paths", list(_local(current)))
    return Candidates("words")


def _arguments(typed: _Typed, current: str) -> Candidates:
    """Return what an argument of a command may become."""
    known = [one for one in typed.parser._actions if not one.option_strings]
    if not known:
        return Candidates("words")
    count = len(typed.arguments)
    if count >= len(known) and not any(one.nargs in ("*", "+") for one in known):
        return Candidates("words")
    action = known[min(count, len(known) - 1)]
    if action.choices:
        return _values(action, current)
    name = typed.parser.prog.removeprefix("ctadata ")
    given = _OF_COMMANDS.get(name)
    place = given[min(count, len(given) - 1)] if given else _PLACES.get(str(action.metavar))
    if name == "clean" and "local" in typed.flags:
        place = "local"
    if place == "either":
        place = "remote" if uri.is_uri(current) else "local"
    found: list[Candidate] = []
    if place in ("remote", "both"):
        found += _remote(current, typed.settings)
    if place in ("local", "both") and not uri.is_uri(current):
        found += _local(current)
    if place is not None and name != "put" and current and uri.SCHEME.startswith(current) and current != uri.SCHEME:
        found.append(Candidate(uri.SCHEME))
    return Candidates("paths", list(dict.fromkeys(found)))


def _remote(current: str, settings: dict[str, str]) -> Iterator[Candidate]:
    """Give the remote paths that a text may become."""
    first = current.removeprefix(uri.SCHEME)
    if uri.is_uri(current) and "/" not in first:
        profile, at, partial = first.rpartition("@")
        folder = f"{uri.SCHEME}{profile}{at}"
    else:
        above, slash, partial = current.rpartition("/")
        folder = above + slash
    for name in names_in(folder or "/", settings):
        if (
            name.startswith(partial)
            and (partial or not name.startswith("."))
            and not (folder == uri.SCHEME and "@" in name)
        ):
            yield Candidate(folder + name)


def _local(current: str) -> Iterator[Candidate]:
    """Give the local paths that a text may become, with a slash behind folders."""
    above, slash, partial = current.rpartition("/")
    folder = above + slash
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:  # noqa: PTH111 (the text stays as it is)
            for entry in sorted(entries, key=lambda entry: entry.name):
                if (
                    entry.name.startswith(partial)
                    and (partial or not entry.name.startswith("."))
                    and entry.name.isprintable()
                ):
                    yield Candidate(folder + entry.name + ("/" if entry.is_dir() else ""))
    except OSError:
        return
