"""Errors on their way from a trigger to the operator that has deferred to it, as plain JSON."""

from collections.abc import Mapping
from typing import Any

import ctadata_providers
from ctadata_providers import CtaError, StorageError

_DETAILS = ("path", "remedy", "status", "retry_after")


def told(error: CtaError) -> dict[str, Any]:
    """Return what makes the same error again."""
    details = {name: getattr(error, name) for name in _DETAILS if getattr(error, name, None) is not None}
    return {"type": type(error).__name__, "message": error.message, **details}


def error_of(event: Mapping[str, Any]) -> CtaError:
    """Return the error that was told, so that a `retry_policy` sees what it would have seen in a worker."""
    details = {name: event[name] for name in _DETAILS if name in event}
    name = str(event["type"])
    kind = getattr(ctadata_providers, name) if name in ctadata_providers.__all__ else StorageError
    error: CtaError = kind(event["message"], **details)
    return error
