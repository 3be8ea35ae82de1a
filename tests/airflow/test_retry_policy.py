"""When a failed task is tried again."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow_provider_cta.retries import CtaRetryPolicy

from ctadata_providers import (
    AlreadyExistsError,
    ConfigError,
    CredentialError,
    IntegrityError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    TransientError,
)

ACTIONS = [
    (NotFoundError("no", status=404), RetryAction.FAIL, None),
    (PermissionDeniedError("no", status=403), RetryAction.FAIL, None),
    (AlreadyExistsError("no"), RetryAction.FAIL, None),
    (ConfigError("no"), RetryAction.FAIL, None),
    (TransientError("no", status=429, retry_after=7.0), RetryAction.RETRY, 7.0),
    (TransientError("no", status=423), RetryAction.RETRY, 60.0),
    (TransientError("no", status=429), RetryAction.RETRY, 60.0),
    (TransientError("no", status=503), RetryAction.RETRY, 30.0),
    (TransientError("no"), RetryAction.RETRY, None),
    (QuotaError("no"), RetryAction.DEFAULT, None),
    (IntegrityError("no"), RetryAction.DEFAULT, None),
    (FileNotFoundError("another one's"), RetryAction.DEFAULT, None),
    (ValueError("another one's"), RetryAction.DEFAULT, None),
]


@pytest.mark.parametrize(("error", "action", "seconds"), ACTIONS)
def test_each_error_has_its_answer(error: BaseException, action: RetryAction, seconds: float | None) -> None:
    decision = CtaRetryPolicy().evaluate(error, 1, 3)

    assert decision.action is action
    assert decision.retry_delay == (None if seconds is None else timedelta(seconds=seconds))


def test_a_refused_credential_is_resolved_anew_once() -> None:
    policy = CtaRetryPolicy()

    assert policy.evaluate(CredentialError("no"), 1, 3).action is RetryAction.RETRY
    assert policy.evaluate(CredentialError("no"), 2, 3).action is RetryAction.FAIL


def test_a_credential_that_ran_out_after_another_fault_is_resolved_anew_too() -> None:
    """The state of the task tells whether it was the credential the last time, too."""
    policy, kept = CtaRetryPolicy(), dict[str, Any]()
    store = SimpleNamespace(get=kept.get, set=kept.__setitem__)
    faults = [TransientError("no"), CredentialError("no"), TransientError("no"), CredentialError("no")]
    context: Any = {"task_state_store": store}
    actions = [policy.evaluate(fault, number, 9, context).action for number, fault in enumerate(faults, start=1)]

    assert actions == [RetryAction.RETRY] * 4
    assert policy.evaluate(CredentialError("no"), 5, 9, context).action is RetryAction.FAIL


def test_it_is_made_anew_of_what_is_stored() -> None:
    assert isinstance(CtaRetryPolicy.deserialize(CtaRetryPolicy().serialize()), CtaRetryPolicy)


def test_a_task_that_cannot_succeed_is_tried_once(cta_default: Any, run_dag: Any, tmp_path: Any) -> None:
    from airflow.sdk import DAG
    from airflow_provider_cta.operators.cta import CtaDownloadOperator

    with DAG("hopeless", schedule=None) as dag:
        CtaDownloadOperator(
            task_id="get", remote_path="lst/no", local_path=f"{tmp_path}/", retries=3, retry_policy=CtaRetryPolicy()
        )
    (instance,) = run_dag(dag).get_task_instances()

    assert (instance.state, instance.try_number) == ("failed", 1)
