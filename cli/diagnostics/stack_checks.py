"""Checks of a stack in AWS: status, queues, batches, alarms."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from cli.aws.target_stack import Stack
from llm_relay.diagnostics.checklist import Finding, fail, ok, warn

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef

DELETED = {"ROLLBACK_COMPLETE", "DELETE_COMPLETE"}
MAX_WAIT_SECONDS = 900  # of a job, before a warning
MAX_BATCH_AGE = timedelta(hours=25)  # a day, and an hour to finalize
LATELY = timedelta(days=1)


def stack_status(stack: Stack) -> Finding:
    """Check the stack's status in CloudFormation."""
    name, status = stack.name, stack.status
    look = f"aws cloudformation describe-stack-events --stack-name {name}"
    if status in DELETED:
        return fail(f"{name} is {status}: it has no resources.", "sam delete, then sam deploy")
    if status.endswith("_FAILED"):
        return fail(f"{name} is {status}.", f"See why, then run 'sam deploy' again: {look}")
    if status.endswith("_IN_PROGRESS"):
        return warn(f"{name} is {status}.", "Run this again when it has finished.")
    if "ROLLBACK" in status:
        return warn(
            f"{name} is {status}: the last deployment failed, and the previous one is active.",
            f"See why, then run 'sam deploy' again: {look}",
        )
    return ok(f"{name} is {status}")


def queues(stack: Stack) -> Finding:
    """Check waiting and dead-lettered jobs."""
    dead, queue = stack.resource("JobsDeadLetterQueue"), stack.resource("JobsQueue")
    failed, waiting = _messages_in(stack, dead), _messages_in(stack, queue)
    if failed:
        arn = _attributes(stack, dead)["QueueArn"]
        return fail(
            f"{failed} jobs failed and are in the dead-letter queue.",
            f"Inspect one: aws sqs receive-message --queue-url {dead} - after fixing the cause, "
            f"redrive them: aws sqs start-message-move-task --source-arn {arn}",
        )
    waited = _oldest_seconds(stack, queue.rpartition("/")[2])
    if waited > MAX_WAIT_SECONDS:
        return warn(
            f"{waiting} jobs wait, the oldest for {waited:.0f} s.",
            "Raise JobsAtOnce, if the provider's limits allow it, with 'sam deploy'; "
            "JobWorkerFunction's log shows failures.",
        )
    return ok(f"{waiting} jobs wait, none failed")


def _attributes(stack: Stack, queue: str) -> Mapping[str, str]:
    answer: Any = stack.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
    values: Mapping[str, str] = answer["Attributes"]  # typed by literal names
    return values


def _messages_in(stack: Stack, queue: str) -> int:
    """Return the number of messages in a queue, in all states."""
    values = _attributes(stack, queue)
    kinds = ("", "NotVisible", "Delayed")
    return sum(int(values[f"ApproximateNumberOfMessages{kind}"]) for kind in kinds)


def _oldest_seconds(stack: Stack, queue_name: str) -> float:
    """Return the age of the oldest message, according to CloudWatch."""
    now = datetime.now(UTC)
    metrics = stack.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": queue_name}],
        StartTime=now - timedelta(minutes=15),
        EndTime=now,
        Period=60,
        Statistics=["Maximum"],
    )
    points = sorted(metrics["Datapoints"], key=lambda point: point["Timestamp"])
    return points[-1]["Maximum"] if points else 0.0


def batches(stack: Stack) -> Finding:
    """Check for failed and overdue batches."""
    machine, now = stack.resource("BatchStateMachine"), datetime.now(UTC)
    executions = partial(stack.client("stepfunctions").list_executions, stateMachineArn=machine)
    running = executions(statusFilter="RUNNING")["executions"]
    ended = [
        *executions(statusFilter="FAILED")["executions"],
        *executions(statusFilter="TIMED_OUT")["executions"],
    ]
    stuck = [each for each in running if now - each["startDate"] > MAX_BATCH_AGE]
    dead = [each for each in ended if now - each["stopDate"] < LATELY]
    if found := stuck or dead:
        what = "have run for more than a day" if stuck else "failed within a day"
        return warn(
            f"{len(found)} batches {what}.",
            "Inspect it: aws stepfunctions get-execution-history --reverse-order --execution-arn "
            f"{found[0]['executionArn']}",
        )
    return ok(f"{len(running)} running, none stuck")


def alarms(stack: Stack) -> Finding:
    """Check for firing alarms of the stack."""
    pages = stack.client("cloudwatch").get_paginator("describe_alarms").paginate(StateValue="ALARM")
    firing = [each for page in pages for each in page["MetricAlarms"]]
    own = [each for each in firing if each["AlarmName"] in stack.resources.values()]
    if not own:
        return ok("none is firing")
    return fail(" ".join(map(_alarm_reason, own)), " ".join(map(_alarm_advice, own)))


def _alarm_reason(alarm: "MetricAlarmTypeDef") -> str:
    return f"{alarm['AlarmName']} fires: {alarm.get('StateReason', 'no reason given')}"


def _alarm_advice(alarm: "MetricAlarmTypeDef") -> str:
    return alarm.get("AlarmDescription") or f"See {alarm['AlarmName']} in CloudWatch."
