"""Errors whose traces show no secret: who collects errors often keeps the variables of each function, too."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from ctadata_providers.errors import CtaError

P = ParamSpec("P")
T = TypeVar("T")


def discreet(act: Callable[P, T]) -> Callable[P, T]:
    """Let our errors leave a function without their trace up to there: arguments and variables in it are secret."""

    @wraps(act)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return act(*args, **kwargs)
        except CtaError as error:
            raise error.with_traceback(None) from None
        finally:
            del args, kwargs  # this frame stays in the trace

    return wrapped
