"""A sensor that waits until something is there."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue, XComArg, timezone
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_cta import settings
from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.links.cta import CtaDoorLink
from airflow_provider_cta.triggers.cta import CtaPathTrigger
from airflow_provider_cta.triggers.errors import error_of
from airflow_provider_cta.wanted import Calm, Wanted, told
from ctadata_providers import FileInfo, TransientError, uri

_CALM = "cta_calm"
"""Under this name the state of a task remembers since when nothing has changed."""


class CtaPathSensor(BaseSensorOperator):
    """Wait for files, folders and matches of patterns.

    Each look reads the connection anew, so that a wait of days survives a change of its token. Deferred, it waits in
    the triggerer, where all sensors of a folder share one listing an interval, and needs no worker until all is there.

    Args:
        path: A `cta://` address or plain path, or a list of some, all of which must be there; `cta://name@...` names
            the connection. With `*`, `?` or `[...]` it is a pattern (`**` for any depth), with a trailing `/` a folder.
        min_count: How many matches each pattern needs.
        stable_for: Seconds for which nothing of what is there may have changed, and nothing have come: for files that
            are still being written where the server shows that.
        newer_than: What was changed before is not looked at: a datetime, a text in ISO 8601 (UTC unless it says so), or
            epoch seconds; eight digits are a day.
        metadata: The result of the task is a list of what the listing tells (`uri`, `is_dir`, `size`, `modified`,
            `etag`, `checksums`, `locality`), not of canonical addresses.
        deferrable: Wait in the triggerer; default `[operators] default_deferrable`.
        start_from_trigger: With `deferrable`, begin there too, without a worker. Its arguments must not be mapped then.
            Where one of them is what another task gives, it begins in a worker all the same.
        end_from_trigger: With `deferrable`, end there too when all is there: with both, no worker is needed but for an
            error. Airflow refuses that where a plugin has listeners, such as OpenLineage's, and maps no task over what
            was found so.
        poke_interval: Seconds from look to look; default `[cta] poke_interval`, which is 60.
        cta_conn_id: The connection for an address that names none.
        **kwargs: What every sensor takes, e.g. `mode="reschedule"`, `timeout`. Deferred, `timeout` and
            `execution_timeout` both hold, from when it has deferred.
    """

    operator_extra_links = (CtaDoorLink(),)
    template_fields: Sequence[str] = ("path", "cta_conn_id", "min_count", "stable_for", "newer_than")
    start_trigger_args: StartTriggerArgs | None = None
    start_from_trigger = False

    def __init__(
        self,
        *,
        path: str | Sequence[str],
        min_count: int | str = 1,
        stable_for: float | str = 0.0,
        newer_than: datetime | str | None = None,
        metadata: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        start_from_trigger: bool = False,
        end_from_trigger: bool = False,
        poke_interval: timedelta | float | None = None,
        cta_conn_id: str = CtaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        interval = settings.number("poke_interval") if poke_interval is None else poke_interval
        super().__init__(poke_interval=interval, **kwargs)
        self.path = path
        self.min_count = min_count
        self.stable_for = stable_for
        self.newer_than = newer_than
        self.metadata = metadata
        self.deferrable = deferrable
        self.cta_conn_id = cta_conn_id
        self.end_from_trigger = deferrable and end_from_trigger
        self._calm: Calm | None = None
        given = [getattr(self, name) for name in CtaPathSensor.template_fields]
        given_later = any(XComArg.iter_xcom_references(given))
        self.start_from_trigger = deferrable and start_from_trigger and not given_later
        if self.start_from_trigger:
            name, arguments = self._trigger().serialize()
            self.start_trigger_args = StartTriggerArgs(
                trigger_cls=name,
                trigger_kwargs=arguments,
                next_method="execute_complete",
                timeout=self._limit,
            )

    def execute(self, context: Context) -> Any:
        """Wait here or in the triggerer, and return what is there.

        Raises:
            NotADirError: When an address means a folder and a file is there.
            CtaError: As the client raised it; something that is not there yet is no error.
        """
        if not self.deferrable:
            return super().execute(context)
        self._wanted()  # what cannot be used is told at once
        return self._leave(self._limit)

    def execute_complete(self, context: Context, event: dict[str, Any] | str) -> list[Any]:
        """Return what the trigger has found.

        Raises:
            AirflowSkipException: When the trigger could not go on looking, with `never_fail`.
            CtaError: When it could not, else.
        """
        if not isinstance(event, dict):  # `dag.test()` resumes what its trigger has ended, and hands on a state alone
            return cast("list[Any]", super().execute(context))
        if event["status"] != "success":
            error = error_of(event)
            if self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise error
        found: list[Any] = event["found"]
        self.log.info("%s: %d found", self.path, len(found))
        return found

    def wait_again(self, context: Context) -> Any:
        """Wait on after what was found is not enough: from the next interval on, for what is left of the time.

        Raises:
            AirflowSensorTimeout: When nothing is left.
        """
        begun = getattr(context.get("ti"), "start_date", None) or timezone.utcnow()
        left = self._limit - (timezone.utcnow() - begun)
        if left <= timedelta(0):
            seconds = self._limit.total_seconds()
            raise AirflowSensorTimeout(f"{self.path}: not all was there within the timeout of {seconds:g} s")
        return self._leave(left, pause=self.poke_interval)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once.

        Returns:
            Done when all is there, with the list of canonical addresses as the result of the task.

        Raises:
            NotADirError: When an address means a folder and a file is there.
            CtaError: As the client raised it; what is not there yet is no error, nor is a fault that may pass.
        """
        wanted = self._wanted()
        try:
            there = self._look(wanted)
        except TransientError as error:
            self.log.warning("Cannot look at %s now, trying again: %s", self.path, error)
            return PokeReturnValue(is_done=False)
        found = wanted.found(there)
        done = found is not None and self._is_calm(context, wanted, found)
        self.log.info("%s: %s", self.path, "not all is there" if found is None else f"{len(found)} found")
        return PokeReturnValue(is_done=done, xcom_value=told(found or [], metadata=self.metadata))

    def _wanted(self) -> Wanted:
        return Wanted.of(self.path, min_count=self.min_count, stable_for=self.stable_for, newer_than=self.newer_than)

    @property
    def _limit(self) -> timedelta:
        """How long it may wait without a worker, where nobody else minds `execution_timeout`."""
        most = timedelta(seconds=self.timeout)
        return most if self.execution_timeout is None else min(most, self.execution_timeout)

    def _leave(self, timeout: timedelta, *, pause: float = 0.0) -> Any:
        return self.defer(trigger=self._trigger(pause), method_name="execute_complete", timeout=timeout)

    def _trigger(self, pause: float = 0.0) -> CtaPathTrigger:
        return CtaPathTrigger(
            path=self.path if isinstance(self.path, str) else list(self.path),
            cta_conn_id=self.cta_conn_id,
            poke_interval=self.poke_interval,
            min_count=self.min_count,
            stable_for=self.stable_for,
            newer_than=self.newer_than.isoformat() if isinstance(self.newer_than, datetime) else self.newer_than,
            metadata=self.metadata,
            end_from_trigger=self.end_from_trigger,
            silent_fail=self.silent_fail,
            pause=pause,
        )

    def _look(self, wanted: Wanted) -> dict[str, list[FileInfo]]:
        by_connection: dict[str, list[str]] = {}
        for question in wanted.questions.values():
            by_connection.setdefault(uri.parse(question).name or self.cta_conn_id, []).append(question)
        answers: dict[str, list[FileInfo]] = {}
        for conn_id, questions in by_connection.items():
            with CtaHook(conn_id).client() as client:
                answers.update(client.glob_many(questions))
        return answers

    def _is_calm(self, context: Context, wanted: Wanted, found: list[FileInfo]) -> bool:
        """Tell whether nothing has changed for long enough; a rescheduled sensor remembers in its task's state."""
        store = context.get("task_state_store") if self.reschedule else None
        if self._calm is None:
            kept = store.get(_CALM) if store else None
            self._calm = Calm(wanted.stable_for)
            if isinstance(kept, dict):
                self._calm.seen, self._calm.since = str(kept["seen"]), float(str(kept["since"]))
        settled = self._calm.settled(found, time.time())
        if store and wanted.stable_for:
            store.set(_CALM, {"seen": self._calm.seen, "since": self._calm.since})
        return settled
