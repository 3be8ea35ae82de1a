"""A shell on a terminal, as a user sits before it: keys in, the line that is edited out."""

import os
import pty
import re
import select
import shutil
import signal
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 20.0
_SHOW = {
    "bash": r"""bind -x '"\C-t": printf "<<%s>>" "$READLINE_LINE"' """,
    "zsh": "show() { printf '<<%s>>' \"$BUFFER\" }; zle -N show; bindkey '^T' show",
    "fish": "bind \\ct 'printf \"<<%s>>\" (commandline)'",
}
"""Has a shell print the line that is edited, on Ctrl-T."""
_START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
_LOAD = {
    "bash": 'eval "$(ctadata completion bash)"; bind "set bell-style none"',
    "zsh": 'autoload -U compinit; compinit -u -D; unsetopt beep prompt_sp; eval "$(ctadata completion zsh)"',
    "fish": "ctadata completion fish | source",
}


class Terminal:
    """A shell that completes `ctadata`.

    Args:
        shell: Its name.
        home: Its home and working folder.
    """

    def __init__(self, shell: str, home: Path) -> None:
        self.shell = shell
        self._home = home
        self._seen = ""
        self._asked = 0

    def __enter__(self) -> Self:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("BASH", "ZSH", "fish"))}
        environ.update(HOME=str(self._home), TERM="dumb", PS1="> ", LC_ALL="C.UTF-8", INPUTRC="/dev/null")
        environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(self._home)
            os.execvpe(_START[self.shell][0], _START[self.shell], environ)
        self._send(f"{_LOAD[self.shell]}\n{_SHOW[self.shell]}\n")
        self._send("echo 're''ady'\n")
        self._until(r"ready\s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._fd)

    def completed(self, typed: str, *, keys: str = "\t") -> str:
        """Return what becomes of a line by pressing the tabulator key; the line is then given up."""
        self._seen = ""
        self._send(typed)
        self._send(keys)
        self._send("\x14")
        line = self._until(r"<<(.*?)>>")
        self._send("\x15" if self.shell != "zsh" else "\x15\x0b")
        return line

    def shown(self, typed: str) -> str:
        """Return what a shell prints when the tabulator key is pressed twice."""
        self.completed(typed, keys="\t\t")
        return self._seen

    def _send(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def _until(self, pattern: str) -> str:
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self._seen, re.DOTALL)):
            left = deadline - time.monotonic()
            if left < 0 or not select.select([self._fd], [], [], left)[0]:
                raise AssertionError(f"{pattern} does not come: {self._seen!r}")
            self._seen += os.read(self._fd, 65536).decode(errors="replace")
        return found[found.re.groups]


def is_there(shell: str) -> bool:
    return shutil.which(shell) is not None
