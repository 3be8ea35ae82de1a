"""What the operators have in common: a client under one connection, an end on kill, and what they tell Airflow."""

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from airflow.sdk import Asset, AssetAlias, BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.lineage import get_hook_lineage_collector

from airflow_provider_cta.assets import address_of, asset_uri, cta_asset
from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.links.cta import CtaDoorLink
from ctadata_providers import Config, ConfigError, CtaClient, uri

if TYPE_CHECKING:
    from pydantic import JsonValue

OnMissing: TypeAlias = Literal["fail", "skip"]
Result: TypeAlias = dict[str, Any]
_OF_CTA = "prod"
_OWNER = "cta_owner"
"""Under this name the state of a task remembers whose parts its last try has left."""


class CtaOperator(BaseOperator):
    """An operator that works with a client, until it is done or killed.

    Args:
        cta_conn_id: The connection for addresses that name none.
        checksum: `auto`, `require` or `off`; default what the connection says.
        **kwargs: What every operator takes.
    """

    operator_extra_links = (CtaDoorLink(),)

    def __init__(
        self, *, cta_conn_id: str = CtaHook.default_conn_name, checksum: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.cta_conn_id = cta_conn_id
        self.checksum = checksum
        self._running = False

    def execute(self, context: Context) -> Any:
        """Do the work and return what was done, as plain JSON.

        Raises:
            CtaError: As the client raised it; nothing partial stands under the name of a target then.
            AirflowSkipException: When there is nothing to do and `on_missing` says so.
        """
        with self._killable():
            return self._work(context)

    def on_kill(self) -> None:
        """Interrupt the running work, which then cleans up and leaves nothing partial.

        Airflow calls this in the handler of SIGTERM, in the thread of `execute`, which would otherwise go on until
        SIGKILL; after a time-out it calls this too, when `execute` has already ended.

        Raises:
            KeyboardInterrupt: When `execute` is running: the one interrupt that no error handling swallows.
        """
        if self._running:
            raise KeyboardInterrupt(f"task {self.task_id} was killed")

    @contextmanager
    def _killable(self) -> Iterator[None]:
        """Let `on_kill` interrupt what is done meanwhile."""
        self._running = True
        try:
            yield
        finally:
            self._running = False

    @property
    def at_the_door(self) -> tuple[Any, str]:
        """What the button leads to: an address, or several, and the connection of those that name none."""
        return getattr(self, "remote_path", None) or getattr(self, "path", ""), self.cta_conn_id

    @abstractmethod
    def _work(self, context: Context) -> Any:
        """Do it and return the result of the task."""

    def _client(self, conn_id: str) -> CtaClient:
        config = CtaHook(conn_id).config()
        return CtaClient(config.with_settings(checksum=self.checksum))

    def _conn_id(self, address: str) -> str:
        """Return the connection of an address."""
        return uri.parse(address).name or self.cta_conn_id

    def _one_conn_id(self, addresses: Iterable[str], *, default: str | None = None) -> str:
        """Return the connection of all of some addresses.

        Args:
            addresses: Addresses and plain paths.
            default: The connection of those that name none, in place of `cta_conn_id`.

        Raises:
            ConfigError: When they name several.
        """
        default = default or self.cta_conn_id
        names = {uri.parse(address).name or default for address in addresses} or {default}
        if len(names) > 1:
            listed = ", ".join(sorted(names))
            raise ConfigError(f"one task has paths of several connections: {listed}", remedy="map the task over them")
        return names.pop()

    def _tell(
        self, context: Context, config: Config, *, read: Iterable[str] = (), wrote: Iterable[Result] = ()
    ) -> None:
        """Tell lineage what was read and written, and put checksum and size of a result into the event of its asset.

        Of another storage than that of CTA the names do not tell which one it is; that is told beside.
        An alias among the outlets gets the asset of each result.

        Args:
            context: Of the task.
            config: The settings of the storage.
            read: Addresses.
            wrote: Results; each has its address as `uri`.
        """
        collector, hook = get_hook_lineage_collector(), CtaHook(config.profile)
        beside: dict[str, JsonValue] = {} if config.instance == _OF_CTA else {"instance": config.instance}
        for address in read:
            collector.add_input_asset(context=hook, uri=asset_uri(address), asset_extra=beside)
        results = {result["uri"]: result for result in wrote}
        for address in results:
            collector.add_output_asset(context=hook, uri=asset_uri(address), asset_extra=beside)
        events = context.get("outlet_events")
        if events is None:
            return
        for outlet in self.outlets:
            if isinstance(outlet, Asset) and outlet.uri.startswith("cta://"):
                result = results.get(address_of(outlet.uri)) or results.get(f"{address_of(outlet.uri)}/")
                if result is not None:
                    events[outlet].extra.update({**event_extra(result), **beside})
            elif isinstance(outlet, AssetAlias):
                for address, result in results.items():
                    events[outlet].add(cta_asset(address), extra={**event_extra(result), **beside})

    def _go_on(self, context: Context, client: CtaClient) -> None:
        """Go on with what the last try of this task has left, on whichever machine, and remember who leaves it now."""
        store = context.get("task_state_store")
        if store is None:
            return
        before = store.get(_OWNER)
        if isinstance(before, str):
            client.take_over(before)
        store.set(_OWNER, client.owner)


def event_extra(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a result goes into the event of its asset."""
    return {name: result[name] for name in ("size", "checksums", "files") if name in result}


def as_texts(value: Any) -> Any:
    """Return path objects, also those in a list, as texts, which unlike them are templates; all else as it is."""
    if isinstance(value, os.PathLike):
        return str(value)
    return [as_texts(one) for one in value] if isinstance(value, (list, tuple)) else value


def as_list(value: Any, name: str) -> list[str]:
    """Return what was given as one path or several, as a list of texts.

    Raises:
        ConfigError: When it is neither.
    """
    given = [value] if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(given, Sequence) or not all(isinstance(one, (str, os.PathLike)) and str(one) for one in given):
        raise ConfigError(f"{name}={value!r} cannot be used", remedy="give a path, or a list of some")
    return [str(one) for one in given]


def as_one(value: Any, name: str) -> str:
    """Return what was given as one path, as a text.

    Raises:
        ConfigError: When it is none, or several.
    """
    given = as_list(value, name)
    if len(given) != 1:
        raise ConfigError(f"{name} has {len(given)} paths where there can be one", remedy="give one")
    return given[0]


def skip_if(nothing: bool, on_missing: OnMissing, told: str) -> None:
    """Skip the task when there is nothing to do, and tell why.

    Raises:
        AirflowSkipException: Then.
    """
    if nothing and on_missing == "skip":
        raise AirflowSkipException(told)


def check_on_missing(value: str) -> None:
    """Refuse another value than those that are known.

    Raises:
        ConfigError: Then.
    """
    if value not in ("fail", "skip"):
        raise ConfigError(f"on_missing={value!r} cannot be used", remedy="give fail or skip")


def inside(target: str, source: str) -> str:
    """Return the target, with the name of the source behind it where it ends in `/`."""
    return target + os.path.basename(source.rstrip("/")) if target.endswith("/") else target  # noqa: PTH119 (a remote path too)
