"""Judges what came of a sample event: by what the function returned, or by what it left behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sample_events import answer_complaint, authorizer_complaint
from seeds import custom_ids

from llm_relay.batch.model import names
from llm_relay.batch.model.execution import batch_reference
from llm_relay.batch.model.input_file import parse_manifest
from llm_relay.batch.model.results import parse_part
from llm_relay.jobs.job_types import result_key

if TYPE_CHECKING:
    from sample_events import Case, Json

    from llm_relay.aws.s3 import Bucket


def complaint(case: Case, result: Json, bucket: Bucket) -> str:
    """Return what is wrong with an outcome; nothing if all is well."""
    judges = {
        "batch_plan": plan_complaint,
        "batch_worker": worker_complaint,
        "batch_assemble": assemble_complaint,
        "job_worker": job_complaint,
        "doctor": doctor_complaint,
    }
    if case.folder in judges:
        return judges[case.folder](case, result, bucket)
    if case.folder == "authorizer":
        return authorizer_complaint(case, result)
    return answer_complaint(case, result)


def plan_complaint(_case: Case, result: Json, bucket: Bucket) -> str:
    """Judge a plan, whose manifest must name every row."""
    if result.get("outcome") != "planned":
        return f"not planned: {json.dumps(result)[:300]}"
    planned = sum(chunk.rows for chunk in parse_manifest(bucket.get(result["manifest"]["key"])))
    return "" if planned == len(custom_ids()) else f"{planned} rows are planned"


def worker_complaint(case: Case, result: Json, bucket: Bucket) -> str:
    """Judge a worker, which must have an answer to every row of its chunk."""
    if result.get("left") != 0:
        return f"rows are left: {json.dumps(result)[:300]}"
    chunk = case.event["chunk"]
    parts = bucket.keys(names.parts_prefix(result["batch"], chunk["number"]))
    answered = [each.is_answer for key in parts for each in parse_part(bucket.get(key))]
    return "" if answered == [True] * chunk["rows"] else f"rows that were answered: {answered}"


def assemble_complaint(case: Case, result: Json, bucket: Bucket) -> str:
    """Judge the end of a batch: the answer it had, and word of the rows that never ran."""
    if result.get("wait_seconds") != 0:
        return f"not ended: {json.dumps(result)[:300]}"
    folder = names.batch_prefix(batch_reference(case.event).batch)
    lines = {kind: bucket.get(f"{folder}{kind}.jsonl") for kind in ("output", "errors")}
    found = [json.loads(line)["custom_id"] for kind in lines for line in lines[kind].splitlines()]
    return "" if found == custom_ids() else f"the files contain {found}"


def doctor_complaint(_case: Case, result: Json, _bucket: Bucket) -> str:
    """Judge a diagnosis, which must find nothing that has failed, and leave nothing out."""
    left_out = [c for c in result.get("checks", []) if c["state"] not in ("ok", "warn")]
    is_well = result.get("healthy") is True and not left_out
    return "" if is_well else f"not well: {json.dumps(result)[:300]}"


def job_complaint(case: Case, result: Json, bucket: Bucket) -> str:
    """Judge a job by what lies in the bucket, as one would an answer."""
    if result != {"batchItemFailures": []}:
        return f"the message is to come again: {json.dumps(result)[:300]}"
    (record,) = case.event["Records"]
    job_id = json.loads(record["body"]).get("id", record["messageId"])
    answer = json.loads(bucket.get(result_key(job_id)))["response"]
    as_proxied = {"statusCode": answer["status_code"], "body": json.dumps(answer["body"])}
    return answer_complaint(case, as_proxied)
