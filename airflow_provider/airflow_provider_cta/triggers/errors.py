"""Errors on their way from a trigger to the operator that has deferred to it, as plain JSON."""

from collections.abc import Mapping
from typing import Any

import ctadata_providers
from ctadata_providers import CtaError, StorageError

_DETAILS = ("path", "remedy", "status", "retry_after")


def failed(error: CtaError) -> dict[str, Any]:
    """Return the event of a trigger that ends with an error: `{"status": "error", "error": {...}}`."""
    details = {name: getattr(error, name) for name in _DETAILS if getattr(error, name, None) is not None}
    return {"status": "error", "error": {"type": type(error).__name__, "message": error.message, **details}}


def error_of(event: Mapping[str, Any]) -> CtaError:
    """Return the error of such an event, so that a `retry_policy` sees what it would have seen in a worker."""
    told = event["error"]
    details = {name: told[name] for name in _DETAILS if name in told}
    name = str(told["type"])
    kind = getattr(ctadata_providers, name) if name in ctadata_providers.__all__ else StorageError
    error: CtaError = kind(told["message"], **details)
    return error
