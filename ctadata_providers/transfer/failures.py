"""What could not be done in a tree, and whether the rest goes on."""

from typing import get_args

from ctadata_providers.errors import ConfigError, CredentialError, CtaError, QuotaError
from ctadata_providers.transfer.context import Failure, OnError


class Failures:
    """The failures of a tree, collected or raised as the user wishes.

    Args:
        on_error: `continue` collects them, `stop` raises the first.

    Raises:
        ConfigError: For another word.
    """

    def __init__(self, on_error: OnError) -> None:
        if on_error not in get_args(OnError):
            raise ConfigError(f"on_error cannot be {on_error!r}", remedy="set it to 'stop' or 'continue'")
        self._stops = on_error == "stop"
        self._failures: list[Failure] = []

    def take(self, path: str, error: CtaError) -> None:
        """Take note of a failure.

        Raises:
            CtaError: The given one, when the rest does not go on.
        """
        if self.stop(error):
            raise error
        self._failures.append(Failure.of(path, error))

    def stop(self, error: CtaError) -> bool:
        """Tell whether the rest does not go on after this error."""
        return self._stops or ends_all(error)

    def by_path(self) -> tuple[Failure, ...]:
        """Return what was collected, by path."""
        return tuple(sorted(self._failures, key=lambda failure: failure.path))


def ends_all(error: BaseException) -> bool:
    """Tell whether no other file would fare better: a refused credential, a wrong setting, no space left."""
    return isinstance(error, CredentialError | ConfigError | QuotaError)
