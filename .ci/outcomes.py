"""Checks the result of a sample event: the function's return value or the objects it wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sample_events import check_answer, check_authorizer
from seeds import custom_ids

from llm_relay.batch.model import names
from llm_relay.batch.model.execution import batch_reference
from llm_relay.batch.model.input_file import parse_manifest
from llm_relay.batch.model.results import parse_part
from llm_relay.jobs.job_types import result_key

if TYPE_CHECKING:
    from sample_events import Case, Json

    from llm_relay.aws.s3 import Bucket


def check(case: Case, result: Json, bucket: Bucket) -> str:
    """Return the failure of a sample event, or an empty string."""
    checks = {
        "batch_plan": check_plan,
        "batch_worker": check_worker,
        "batch_assemble": check_assemble,
        "job_worker": check_job,
        "doctor": check_doctor,
    }
    if case.folder in checks:
        return checks[case.folder](case, result, bucket)
    if case.folder == "authorizer":
        return check_authorizer(case, result)
    return check_answer(case, result)


def check_plan(_case: Case, result: Json, bucket: Bucket) -> str:
    """Check that the manifest of a plan names every row."""
    if result.get("outcome") != "planned":
        return f"not planned: {json.dumps(result)[:300]}"
    planned = sum(chunk.rows for chunk in parse_manifest(bucket.get(result["manifest"]["key"])))
    return "" if planned == len(custom_ids()) else f"{planned} rows are planned"


def check_worker(case: Case, result: Json, bucket: Bucket) -> str:
    """Check that a worker has an answer to every row of its chunk."""
    if result.get("left") != 0:
        return f"rows are left: {json.dumps(result)[:300]}"
    chunk = case.event["chunk"]
    parts = bucket.keys(names.parts_prefix(result["batch"], chunk["number"]))
    answered = [each.is_answer for key in parts for each in parse_part(bucket.get(key))]
    return "" if answered == [True] * chunk["rows"] else f"rows that were answered: {answered}"


def check_assemble(case: Case, result: Json, bucket: Bucket) -> str:
    """Check the result files of a batch: the answered row, and errors for rows that never ran."""
    if result.get("wait_seconds") != 0:
        return f"not ended: {json.dumps(result)[:300]}"
    folder = names.batch_prefix(batch_reference(case.event).batch)
    lines = {kind: bucket.get(f"{folder}{kind}.jsonl") for kind in ("output", "errors")}
    found = [json.loads(line)["custom_id"] for kind in lines for line in lines[kind].splitlines()]
    return "" if found == custom_ids() else f"the files contain {found}"


def check_doctor(_case: Case, result: Json, _bucket: Bucket) -> str:
    """Check that a diagnosis finds no fault and skips no check."""
    left_out = [c for c in result.get("checks", []) if c["state"] not in ("ok", "warn")]
    is_healthy = result.get("healthy") is True and not left_out
    return "" if is_healthy else f"not healthy: {json.dumps(result)[:300]}"


def check_job(case: Case, result: Json, bucket: Bucket) -> str:
    """Check the stored result of a job like an answer."""
    if result != {"batchItemFailures": []}:
        return f"the message will be redelivered: {json.dumps(result)[:300]}"
    (record,) = case.event["Records"]
    job_id = json.loads(record["body"]).get("id", record["messageId"])
    answer = json.loads(bucket.get(result_key(job_id)))["response"]
    proxy_answer = {"statusCode": answer["status_code"], "body": json.dumps(answer["body"])}
    return check_answer(case, proxy_answer)
