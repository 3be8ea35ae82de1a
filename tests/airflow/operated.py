"""Operators run without Airflow's database."""

import json
from typing import Any

from airflow_provider_cta.operators.cta import CtaDownloadOperator, CtaUploadOperator


def run(operator: Any, context: Any = None) -> Any:
    """Run an operator and return its result, which must be plain JSON."""
    result = operator.execute(context or {})
    assert json.loads(json.dumps(result)) == result
    return result


def download(remote_path: Any, local_path: Any, **settings: Any) -> Any:
    return run(CtaDownloadOperator(task_id="get", remote_path=remote_path, local_path=local_path, **settings))


def upload(local_path: Any, remote_path: Any, **settings: Any) -> Any:
    return run(CtaUploadOperator(task_id="put", local_path=local_path, remote_path=remote_path, **settings))
