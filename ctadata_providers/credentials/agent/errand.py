"""What an agent is told to do, as it goes through a pipe to its process."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from ctadata_providers.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Keep a file fresh.

    Attributes:
        config: Where the tokens come from.
        target: The file, an absolute path.
        withdraw: Whether the file goes when the agent ends.
    """

    config: Config
    target: Path
    withdraw: bool

    def to_json(self) -> str:
        """Return it with all secrets, and with paths that are good in any folder."""
        config = self.config
        names = [spec.name for spec in fields(config) if spec.name != "on_token"]
        levels = {name: level for name in names if (level := config.given_by(name))}
        settings = {name: _portable(getattr(config, name)) for name in names}
        if config.token_command and "/" in config.token_command[0]:
            settings["token_command"] = [_portable(Path(config.token_command[0])), *config.token_command[1:]]
        given = {name: value for name, value in settings.items() if value is not None}
        return json.dumps({"settings": given, "levels": levels, "target": str(self.target), "withdraw": self.withdraw})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` gave."""
        told = json.loads(text)
        config = Config(**told["settings"]).with_levels(told["levels"])
        return cls(config=config, target=Path(told["target"]), withdraw=told["withdraw"])


def _portable(value: object) -> Any:
    return str(value.expanduser().absolute()) if isinstance(value, Path) else value
