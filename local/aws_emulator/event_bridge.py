"""EventBridge rules: forwards events that moto matches to their targets.

moto matches events to rules, but can invoke neither state machines nor functions. So each
rule's target in moto is a queue, and this module forwards the queue to the real targets.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import aiohttp

from local.aws_emulator.queues import PAUSE_SECONDS, AwsCaller, Queue
from local.cloudformation.intrinsics import ACCOUNT, UnresolvableError
from local.cloudformation.template import Template
from local.lambda_runtime.environments import LambdaFunction

SERVICES = {"sqs", "states"}
SUPPORTED_FIELDS = {"Arn", "Id", "Input", "InputPath"}
IGNORED_FIELDS = {"DeadLetterConfig", "RetryPolicy", "RoleArn"}  # not needed locally

Targets = list[dict[str, Any]]


def read_rules(template: Template, endpoint_url: str) -> Iterator[tuple[str, Targets]]:
    """Yield the queue's URL and the targets of each rule; UnresolvableError if unsupported."""
    functions = {template.attribute(name, "Arn") for name in template.ids("AWS::Lambda::Function")}
    for name in template.ids("AWS::Events::Rule"):
        targets = template.properties(name).get("Targets", [])
        for target in targets:
            reached = target["Arn"].split(":")[2] in SERVICES or target["Arn"] in functions
            if not reached or {*target} - SUPPORTED_FIELDS - IGNORED_FIELDS:
                raise UnresolvableError(f"{name}: the local stack does not know such a target")
        yield queue_url(endpoint_url, template.ref(name)), targets


def queue_url(endpoint_url: str, name: str) -> str:
    """Return the URL of a queue in moto."""
    return f"{endpoint_url}/{ACCOUNT}/{name}"


class Dispatcher:
    """Sends events to the targets of rules."""

    def __init__(self, aws: AwsCaller, functions: Mapping[str, LambdaFunction]) -> None:
        self._aws = aws
        self._functions = {function.spec.arn: function for function in functions.values()}

    async def serve(self, url: str, targets: Targets) -> None:
        """Send a queue's events to targets until cancelled."""
        queue, uploads = Queue(self._aws, url), MultipartUploads()
        while True:
            try:
                for message in await queue.receive():
                    received, message_id = json.loads(message["Body"]), message["MessageId"]
                    if not uploads.is_put(received, message_id):
                        sent = int(message["Attributes"]["SentTimestamp"])
                        event = as_documented(received, message_id, sent)
                        for target in targets:
                            await self._send(target, event)
                        uploads.end(received)
                    await queue.delete([message])
            except aiohttp.ClientError:
                await asyncio.sleep(PAUSE_SECONDS)  # the message reappears after 30 s

    async def _send(self, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        arn, payload = target["Arn"], target_input(target, event)
        service = arn.split(":")[2]
        if service == "states":
            # Named after the event, so that a redelivery starts no second execution.
            await self._aws.call(
                "states", "StartExecution", stateMachineArn=arn, input=payload, name=event["id"]
            )
        elif service == "sqs":
            url = queue_url(self._aws.endpoint_url, arn.rpartition(":")[2])
            await self._aws.call("sqs", "SendMessage", QueueUrl=url, MessageBody=payload)
        else:
            self._functions[arn].invoke(payload.encode()).discard()


class MultipartUploads:
    """Filters moto's duplicate events of multipart uploads (put, then complete)."""

    def __init__(self) -> None:
        self._puts: dict[str, str] = {}  # by upload: message id of its put event

    def is_put(self, event: Mapping[str, Any], message_id: str) -> bool:
        """Return whether an event is the put, which S3 does not send."""
        if not is_multipart(event):
            return False
        return self._puts.setdefault(_upload(event), message_id) == message_id

    def end(self, event: Mapping[str, Any]) -> None:
        """Forget a completed upload."""
        self._puts.pop(_upload(event), None)


def is_multipart(event: Mapping[str, Any]) -> bool:
    """Return whether an event is of a multipart upload, by its ETag."""
    is_new = (event["source"], event["detail-type"]) == ("aws.s3", "Object Created")
    return is_new and "-" in event["detail"]["object"]["eTag"]


def _upload(event: Mapping[str, Any]) -> str:
    detail = event["detail"]
    return json.dumps([detail.get("bucket"), detail.get("object")], sort_keys=True)


def target_input(target: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """Return a target's input: the event, a part of it, or a constant."""
    if "Input" in target:
        return str(target["Input"])
    path = target.get("InputPath", "$").removeprefix("$").strip(".")
    return json.dumps(reduce(lambda part, key: part[key], filter(None, path.split(".")), event))


def as_documented(event: dict[str, Any], message_id: str, sent_millis: int) -> dict[str, Any]:
    """Return moto's event as AWS documents it; identical for redelivered messages."""
    event["account"] = ACCOUNT  # moto omits it from PutEvents
    if event["source"] != "aws.s3":
        return event
    detail, thing = event["detail"], dict(event["detail"]["object"])
    created = "CompleteMultipartUpload" if is_multipart(event) else "PutObject"
    thing["etag"] = thing.pop("eTag")
    # moto's sequencer is a constant, like its event's id.
    thing["sequencer"] = f"{sent_millis:012X}{message_id[:6].upper()}"
    if thing["version-id"] in {None, "null"}:
        del thing["version-id"]
    reasons = {"ObjectCreated": created, "ObjectRemoved": "DeleteObject"}
    reason = reasons.get(detail["reason"], detail["reason"])
    return event | {"id": message_id, "detail": {**detail, "object": thing, "reason": reason}}
