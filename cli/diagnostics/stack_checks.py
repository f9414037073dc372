"""What AWS says of a stack: whether it is up, and its queues, batches and alarms."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from cli.aws.target_stack import Stack
from llm_relay.diagnostics.checklist import Finding, fail, ok, warn

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef

GONE = {"ROLLBACK_COMPLETE", "DELETE_COMPLETE"}  # complete, and nothing is there
WAITED_SECONDS = 900  # until a job's wait is worth a word
LONGEST_BATCH = timedelta(hours=25)  # a day, and an hour to put the results together
LATELY = timedelta(days=1)


def standing(stack: Stack) -> Finding:
    """Whether CloudFormation is done with the stack, and how that went."""
    name, status = stack.description.name, stack.description.status
    look = f"aws cloudformation describe-stack-events --stack-name {name}"
    if status in GONE:
        return fail(f"{name} is {status}: nothing of it is there.", "sam delete, then sam deploy")
    if status.endswith("_FAILED"):
        return fail(f"{name} is {status}.", f"See why, then run 'sam deploy' again: {look}")
    if status.endswith("_IN_PROGRESS"):
        return warn(f"{name} is {status}.", "Run this again when that is over.")
    if "ROLLBACK" in status:
        return warn(
            f"{name} is {status}: the last deployment failed, and the one before it serves.",
            f"See why, then run 'sam deploy' again: {look}",
        )
    return ok(f"{name} is {status}")


def queues(stack: Stack) -> Finding:
    """Whether jobs are worked off, and none was given up."""
    dead, queue = stack.resource("JobsDeadLetterQueue"), stack.resource("JobsQueue")
    given_up, waiting = messages_in(stack, dead), messages_in(stack, queue)
    if given_up:
        arn = attributes(stack, dead)["QueueArn"]
        return fail(
            f"{given_up} jobs were given up and lie in the dead-letter queue.",
            f"Look at one: aws sqs receive-message --queue-url {dead} - and once the cause is "
            f"mended, send them back: aws sqs start-message-move-task --source-arn {arn}",
        )
    waited = oldest_seconds(stack, queue.rpartition("/")[2])
    if waited > WAITED_SECONDS:
        return warn(
            f"{waiting} jobs wait, the oldest for {waited:.0f} s.",
            "Raise JobsAtOnce, if the provider's limits allow it, with 'sam deploy'; "
            "JobWorkerFunction's log says if it fails.",
        )
    return ok(f"{waiting} jobs wait, none was given up")


def attributes(stack: Stack, queue: str) -> Mapping[str, str]:
    """What SQS says of a queue."""
    told: Any = stack.sqs().get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
    found: Mapping[str, str] = told["Attributes"]  # their type knows them by their literal names
    return found


def messages_in(stack: Stack, queue: str) -> int:
    """How many messages a queue holds, be they on their way or not."""
    told = attributes(stack, queue)
    kinds = ("", "NotVisible", "Delayed")
    return sum(int(told[f"ApproximateNumberOfMessages{kind}"]) for kind in kinds)


def oldest_seconds(stack: Stack, queue_name: str) -> float:
    """How long the oldest message has waited, as far as CloudWatch knows."""
    now = datetime.now(UTC)
    told = stack.cloudwatch().get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": queue_name}],
        StartTime=now - timedelta(minutes=15),
        EndTime=now,
        Period=60,
        Statistics=["Maximum"],
    )
    points = sorted(told["Datapoints"], key=lambda point: point["Timestamp"])
    return points[-1]["Maximum"] if points else 0.0


def batches(stack: Stack) -> Finding:
    """Whether batches come to their end."""
    machine, now = stack.resource("BatchStateMachine"), datetime.now(UTC)
    list_executions = partial(stack.step_functions().list_executions, stateMachineArn=machine)
    running = list_executions(statusFilter="RUNNING")["executions"]
    failed = list_executions(statusFilter="FAILED")["executions"]
    overdue = list_executions(statusFilter="TIMED_OUT")["executions"]
    stuck = [each for each in running if now - each["startDate"] > LONGEST_BATCH]
    dead = [each for each in (*failed, *overdue) if now - each["stopDate"] < LATELY]
    if found := stuck or dead:
        what = "have run for more than a day" if stuck else "died within a day"
        return warn(
            f"{len(found)} batches {what}.",
            "See where: aws stepfunctions get-execution-history --reverse-order --execution-arn "
            f"{found[0]['executionArn']}",
        )
    return ok(f"{len(running)} run, none is stuck")


def alarms(stack: Stack) -> Finding:
    """Whether an alarm of the stack fires."""
    pages = stack.cloudwatch().get_paginator("describe_alarms").paginate(StateValue="ALARM")
    firing = [each for page in pages for each in page["MetricAlarms"]]
    own = [each for each in firing if stack.owns(each["AlarmName"])]
    if not own:
        return ok("all are quiet")
    return fail(" ".join(map(told_of, own)), " ".join(map(advised_by, own)))


def told_of(alarm: "MetricAlarmTypeDef") -> str:
    """Which alarm it is, and why it fires."""
    return f"{alarm['AlarmName']} fires: {alarm.get('StateReason', 'no reason is told')}"


def advised_by(alarm: "MetricAlarmTypeDef") -> str:
    """What its author says to do."""
    return alarm.get("AlarmDescription") or f"See {alarm['AlarmName']} in CloudWatch."
