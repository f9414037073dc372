"""Checks of a stack in AWS: status, timeouts, queues, batches, alarms."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from cli.aws.target_stack import Stack
from llm_relay.diagnostics.checklist import Finding, fail, ok, warn
from llm_relay.providers.settings import ProviderSettings

if TYPE_CHECKING:
    from mypy_boto3_apigateway.type_defs import IntegrationTypeDef
    from mypy_boto3_lambda.type_defs import FunctionConfigurationResponseTypeDef

DELETED = {"ROLLBACK_COMPLETE", "DELETE_COMPLETE"}
MAX_WAIT_SECONDS = 900  # of a job, before a warning
MAX_BATCH_AGE = timedelta(hours=25)  # a day, and an hour to finalize
LATELY = timedelta(days=1)
IDLE_SECONDS = 300  # after which API Gateway cuts a silent stream
DEFAULT_MILLISECONDS = 29_000  # API Gateway's default timeout
COUNTS = "ApproximateNumberOfMessages"  # of messages in all states
FUNCTION = re.compile(r"/functions/(?P<arn>[^/]+)/(response-streaming-)?invocations$")


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


def timeouts(stack: Stack) -> Finding:
    """Check the order of timeouts: provider, function, API Gateway."""
    client = stack.client("lambda")
    configuration = cache(lambda name: client.get_function_configuration(FunctionName=name))
    worker = configuration(stack.resource("JobWorkerFunction"))
    faults = [
        fault
        for route, integration in _integrations(stack)
        if (match := FUNCTION.search(integration.get("uri", "")))
        for fault in _faults(route, integration, configuration(match["arn"]))
    ]
    if _provider_timeout(worker) >= worker["Timeout"]:
        faults.append(
            f"The job worker waits {_provider_timeout(worker):g} s for the provider, more than its "
            "own timeout."
        )
    if faults:
        return fail(" ".join(faults), "Restore the template's values: sam deploy")
    return ok("provider < function < API Gateway, at every route")


def _integrations(stack: Stack) -> Iterator[tuple[str, "IntegrationTypeDef"]]:
    """Yield the API's routes with their integrations."""
    pages = stack.client("apigateway").get_paginator("get_resources")
    for page in pages.paginate(restApiId=stack.resource("Api"), embed=["methods"]):
        for resource in page["items"]:
            for method, details in resource.get("resourceMethods", {}).items():
                yield f"{method} {resource.get('path')}", details.get("methodIntegration", {})


def _faults(
    route: str, integration: "IntegrationTypeDef", function: "FunctionConfigurationResponseTypeDef"
) -> Iterator[str]:
    """Yield the timeouts of a route that are in the wrong order."""
    seconds, provider_seconds = function["Timeout"], _provider_timeout(function)
    gateway_seconds = integration.get("timeoutInMillis", DEFAULT_MILLISECONDS) / 1000
    if seconds >= gateway_seconds:
        yield (
            f"{route}: its function's timeout is {seconds} s, but API Gateway's is "
            f"{gateway_seconds:g} s."
        )
    streams = "/response-streaming-invocations" in integration["uri"]
    if streams and provider_seconds >= min(seconds, IDLE_SECONDS):
        yield (
            f"{route}: the provider's timeout is {provider_seconds:g} s, but the function's is "
            f"{seconds} s and API Gateway's idle timeout {IDLE_SECONDS} s."
        )


def _provider_timeout(function: "FunctionConfigurationResponseTypeDef") -> float:
    """Return how long a function waits for the provider's next byte, in seconds."""
    settings = ProviderSettings.from_mapping(function.get("Environment", {}).get("Variables", {}))
    return settings.max_silence_seconds


def queues(stack: Stack) -> Finding:
    """Check waiting and dead-lettered jobs."""
    dead, queue = stack.resource("JobsDeadLetterQueue"), stack.resource("JobsQueue")
    failed, dead_arn = _messages_in(stack, dead)
    if failed:
        return fail(
            f"{failed} jobs failed and are in the dead-letter queue.",
            f"Inspect one: aws sqs receive-message --queue-url {dead} - after fixing the cause, "
            f"redrive them: aws sqs start-message-move-task --source-arn {dead_arn}",
        )
    waiting, _ = _messages_in(stack, queue)
    waited = _oldest_seconds(stack, queue.rpartition("/")[2])
    if waited > MAX_WAIT_SECONDS:
        return warn(
            f"{waiting} jobs wait, the oldest for {waited:.0f} s.",
            "Raise JobsAtOnce, if the provider's limits allow it, with 'sam deploy'; "
            "JobWorkerFunction's log shows failures.",
        )
    return ok(f"{waiting} jobs wait, none failed")


def _messages_in(stack: Stack, queue: str) -> tuple[int, str]:
    """Return the number of messages in a queue, in all states, and the queue's ARN."""
    client = stack.client("sqs")
    values = client.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    counts = [int(value) for name, value in values.items() if name.startswith(COUNTS)]
    return sum(counts), values["QueueArn"]


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
    failed = executions(statusFilter="FAILED")["executions"]
    timed_out = executions(statusFilter="TIMED_OUT")["executions"]
    stuck = [each for each in running if now - each["startDate"] > MAX_BATCH_AGE]
    dead = [each for each in failed + timed_out if now - each["stopDate"] < LATELY]
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
    reasons = [
        f"{each['AlarmName']} fires: {each.get('StateReason', 'no reason given')}" for each in own
    ]
    remedies = [
        each.get("AlarmDescription") or f"See {each['AlarmName']} in CloudWatch." for each in own
    ]
    return fail(" ".join(reasons), " ".join(remedies))
