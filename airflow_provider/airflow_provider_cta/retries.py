"""When a failed task is tried again."""

from datetime import timedelta
from typing import Any, Self

from airflow.sdk import Context
from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from ctadata_providers import (
    AlreadyExistsError,
    ConfigError,
    CredentialError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    TransientError,
    UnsupportedError,
)

_HOPELESS = (
    AlreadyExistsError,
    ConfigError,
    IsADirectoryError,
    NotADirectoryError,
    NotFoundError,
    PermissionDeniedError,
    UnsupportedError,
)
_BUSY = {423: 60.0, 429: 60.0, 503: 30.0}
"""Seconds to wait after a status that came without `Retry-After`."""


_REFUSED = "cta_refused"
"""Under this name the state of a task remembers at which try its credential was refused."""


class CtaRetryPolicy(RetryPolicy):
    """Try again what may pass, as the server told, and nothing else: `retry_policy=CtaRetryPolicy()` of any task.

    A credential that is refused is resolved anew, soon, for a file, an agent or an issuer may have a better one then;
    one that is refused at two tries running fails. What is missing, forbidden or cannot be used fails at once. After
    423, 429 and 503 the next try waits for as long as the server said, or a while. Everything else follows `retries`
    and `retry_delay` of the task.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide about the next try."""
        if isinstance(exception, CredentialError):
            if _was_refused_before(try_number, context):
                return RetryDecision.fail("the credential was refused twice running")
            return RetryDecision.retry(timedelta(seconds=10), "the credential is resolved anew")
        if isinstance(exception, TransientError):
            wait = exception.retry_after if exception.retry_after is not None else _BUSY.get(exception.status or 0)
            told = None if wait is None else timedelta(seconds=wait)
            return RetryDecision.retry(told, "a fault that may pass")
        if isinstance(exception, _HOPELESS) and isinstance(exception, (ConfigError, StorageError)):
            return RetryDecision.fail(f"{type(exception).__name__}: another try would end the same")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return what makes the same policy again."""
        return {"__type": f"{__name__}.{type(self).__name__}"}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """Make it again."""
        return cls()


def _was_refused_before(try_number: int, context: Context | None) -> bool:
    """Tell whether the try before ended so, too, as far as can be known, and remember this one."""
    store = context.get("task_state_store") if context else None
    if store is None:
        return try_number > 1
    before = store.get(_REFUSED)
    store.set(_REFUSED, try_number)
    return before == try_number - 1
