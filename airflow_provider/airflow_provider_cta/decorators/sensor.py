"""`@task.cta_sensor`: a function that is called with what a sensor has found."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

from airflow.sdk import Context, PokeReturnValue
from airflow.sdk.bases.decorator import TaskDecorator, get_unique_task_id, task_decorator_factory

from airflow_provider_cta.sensors.cta import CtaPathSensor
from ctadata_providers import ConfigError


class _DecoratedCtaSensor(CtaPathSensor):
    """A `CtaPathSensor` that asks a function about what is there.

    Args:
        python_callable: Called with `found=` (what the sensor would hand on) once all is there. `False` goes on
            waiting, None hands on what was found, everything else is the result of the task.
        op_args: Its other positional arguments.
        op_kwargs: Its other keyword arguments.
        **kwargs: As for `CtaPathSensor`.
    """

    template_fields: Sequence[str] = (*CtaPathSensor.template_fields, "op_args", "op_kwargs")
    custom_operator_name = "@task.cta_sensor"
    shallow_copy_attrs: Sequence[str] = ("python_callable",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"op_args": "py", "op_kwargs": "py"}

    def __init__(
        self,
        *,
        task_id: str,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("multiple_outputs", None)
        if kwargs.get("end_from_trigger"):
            raise ConfigError("end_from_trigger leaves no worker to ask the function", remedy="leave it out")
        if not getattr(self, "_BaseOperator__from_mapped", False):  # else it has its own already
            task_id = get_unique_task_id(task_id, kwargs.get("dag"), kwargs.get("task_group"))
        super().__init__(task_id=task_id, **kwargs)
        self.python_callable = python_callable
        self.op_args = op_args or ()
        self.op_kwargs = op_kwargs or {}

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once, and ask the function when all is there."""
        looked = super().poke(context)
        if not looked.is_done:
            return looked
        answer = self._answer(looked.xcom_value or [])
        return PokeReturnValue(is_done=answer is not False, xcom_value=answer)

    def execute_complete(self, context: Context, event: dict[str, Any] | str) -> Any:
        """Ask the function about what the trigger has found; wait on when it says so."""
        answer = self._answer(super().execute_complete(context, event))
        if answer is False:
            return self.wait_again(context)
        return answer

    def _answer(self, found: list[Any]) -> Any:
        answer = self.python_callable(*self.op_args, found=found, **self.op_kwargs)
        return found if answer is None else answer


def cta_sensor_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """Make a `CtaPathSensor` of a function, which is called with `found=` once all is there.

    Args:
        python_callable: The function; `False` goes on waiting, None hands on what was found, all else is the result.
        **kwargs: The arguments of `CtaPathSensor`.
    """
    return task_decorator_factory(
        python_callable=python_callable, multiple_outputs=False, decorated_operator_class=_DecoratedCtaSensor, **kwargs
    )
