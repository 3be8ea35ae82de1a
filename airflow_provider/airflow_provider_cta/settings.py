"""The section `[cta]` of Airflow's configuration: what holds for all connections and tasks of an installation.

Airflow imports this through the provider info in every process, so nothing is imported here before it is asked for.
"""

from typing import Any

__all__ = ["DECLARED", "given", "number", "whole"]


def _option(description: str, kind: str, default: str | None, example: str | None = None) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": kind,
        "default": default,
        "example": example,
    }


_OF_CONNECTIONS = {
    "max_parallel": _option("Transfers at once of a task whose connection does not say.", "integer", None, "8"),
    "limit_rate": _option(
        "Most bytes a second of a task whose connection does not say; the tasks of a worker do not share it.",
        "string",
        None,
        "50M",
    ),
    "connect_timeout": _option(
        "Seconds that a task whose connection does not say waits for a server to answer the call.", "float", None, "20"
    ),
    "timeout": _option(
        "Seconds without progress after which a task whose connection does not say tries again.", "float", None, "60"
    ),
}
"""Settings of `Config` that a connection may leave to the installation."""

DECLARED: dict[str, dict[str, Any]] = {
    "poke_interval": _option(
        "Seconds from look to look of sensors and triggers whose poke_interval is not given.", "float", "60"
    ),
    "looks_at_once": _option(
        "How many places of a connection a triggerer looks at at the same time; the others wait their turn.",
        "integer",
        "8",
    ),
    "test_timeout": _option("Seconds that the test of a connection waits for an answer at most.", "float", "15"),
    **_OF_CONNECTIONS,
}
"""The options, as the provider info declares them."""


def number(name: str) -> float:
    """Return an option that is a number."""
    from airflow.sdk.configuration import conf

    return float(conf.getfloat("cta", name, fallback=float(DECLARED[name]["default"])))


def whole(name: str) -> int:
    """Return an option that is a whole number."""
    from airflow.sdk.configuration import conf

    return int(conf.getint("cta", name, fallback=int(DECLARED[name]["default"])))


def given() -> dict[str, str]:
    """Return what the installation says for connections that do not, by the names in `Config`."""
    from airflow.sdk.configuration import conf

    told = {name: conf.get("cta", name, fallback=None) for name in _OF_CONNECTIONS}
    return {name: value for name, value in told.items() if value}
