"""`@task.cta_sensor`: a function that is called with what a sensor has found."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

from airflow.sdk import Context, PokeReturnValue
from airflow.sdk.bases.decorator import TaskDecorator, determine_kwargs, get_unique_task_id, task_decorator_factory

from airflow_provider_cta.sensors.cta import CtaPathSensor
from ctadata_providers import ConfigError


class _DecoratedCtaSensor(CtaPathSensor):
    """A `CtaPathSensor` that asks a function about what is there.

    Args:
        python_callable: Called with `found=` (what the sensor would hand on) once all is there, and with what it has
            parameters for of the context of the task, as `ds` or `ti`. `False`, also numpy's, goes on waiting, None
            hands on what was found, everything else is the result of the task; a `PokeReturnValue` says both.
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
        return self._answer(context, looked.xcom_value or []) if looked.is_done else looked

    def execute_complete(self, context: Context, event: dict[str, Any] | str) -> Any:
        """Ask the function about what the trigger has found; wait on when it says so."""
        answer = self._answer(context, super().execute_complete(context, event))
        return answer.xcom_value if answer.is_done else self.wait_again(context)

    def _answer(self, context: Context, found: list[Any]) -> PokeReturnValue:
        """Return whether that is enough, and the result of the task.

        Raises:
            ConfigError: When the function has returned truth values of many.
        """
        rest = {name: value for name, value in context.items() if name != "found" and name not in self.op_kwargs}
        asked_for = determine_kwargs(self.python_callable, self.op_args, rest)
        answer = self.python_callable(*self.op_args, found=found, **self.op_kwargs, **asked_for)
        if isinstance(answer, PokeReturnValue):
            done, result = bool(answer.is_done), answer.xcom_value
        elif _is_truth(answer):
            done, result = bool(answer), bool(answer)
        else:
            done, result = True, answer
        return PokeReturnValue(is_done=done, xcom_value=found if result is None else result)


def _is_truth(answer: Any) -> bool:
    """Tell whether an answer is a truth value, also one of numpy, or of what works like it.

    Raises:
        ConfigError: When it is many of them.
    """
    if isinstance(answer, bool):
        return True
    if getattr(getattr(answer, "dtype", None), "kind", None) != "b":
        return False
    if getattr(answer, "shape", ()) != ():
        raise ConfigError("the function has returned truth values of many", remedy="end it with .all() or .any()")
    return True


def cta_sensor_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """Make a `CtaPathSensor` of a function, which is called with `found=` once all is there.

    Args:
        python_callable: The function, which may ask for parts of the context, too (`def f(found, ds=None)`); `False`
            goes on waiting, None hands on what was found, all else is the result, and a `PokeReturnValue` says both.
        **kwargs: The arguments of `CtaPathSensor`.
    """
    return task_decorator_factory(
        python_callable=python_callable, multiple_outputs=False, decorated_operator_class=_DecoratedCtaSensor, **kwargs
    )
