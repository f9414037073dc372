"""EventBridge rules: what moto finds to match them goes on to their targets.

moto knows the rules and matches events, but reaches neither state machines nor functions. So each
rule's target there is a queue of its own, and here that queue is emptied into the real targets.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import aiohttp

from local.aws_emulator.queues import AwsCaller, Queue
from local.cloudformation.intrinsics import ACCOUNT, UnresolvableError
from local.cloudformation.template import Template
from local.lambda_runtime.environments import LambdaFunction

PAUSE_SECONDS = 1.0
SERVICES = {"sqs", "states"}
TAKEN = {"Arn", "Id", "Input", "InputPath"}
IGNORED = {"RoleArn", "DeadLetterConfig", "RetryPolicy"}  # rights, and what a laptop never needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of the template: the queue that holds its events, and its targets."""

    queue_url: str
    targets: tuple[Mapping[str, Any], ...]


def read_rules(template: Template, endpoint_url: str) -> Iterator[Rule]:
    """The template's rules; raises UnresolvableError for a target that cannot be reached here."""
    functions = {template.attribute(name, "Arn") for name in template.ids("AWS::Lambda::Function")}
    for name in template.ids("AWS::Events::Rule"):
        targets = template.properties(name).get("Targets", [])
        for target in targets:
            reached = target["Arn"].split(":")[2] in SERVICES or target["Arn"] in functions
            if not reached or {*target} - TAKEN - IGNORED:
                raise UnresolvableError(f"{name}: the local stack does not know such a target")
        yield Rule(
            queue_url=queue_url(endpoint_url, template.ref(name)),
            targets=tuple(targets),
        )


def queue_url(endpoint_url: str, name: str) -> str:
    """Where moto has the queue of a name."""
    return f"{endpoint_url}/{ACCOUNT}/{name}"


class Dispatcher:
    """Takes events to the targets of rules."""

    def __init__(self, aws: AwsCaller, functions: Mapping[str, LambdaFunction]) -> None:
        self._aws = aws
        self._functions = {function.spec.arn: function for function in functions.values()}
        self._invocations: set[asyncio.Task[None]] = set()

    async def serve(self, rule: Rule) -> None:
        """Dispatches a rule's events until it is cancelled."""
        queue, uploads = Queue(self._aws, rule.queue_url), Uploads()
        while True:
            try:
                for message in await queue.receive():
                    said, message_id = json.loads(message["Body"]), message["MessageId"]
                    if not uploads.is_put(said, message_id):
                        sent = int(message["Attributes"]["SentTimestamp"])
                        event = completed(said, message_id, sent)
                        for target in rule.targets:
                            await self._send(target, event)
                        uploads.end(said)
                    await queue.delete([message])
            except aiohttp.ClientError:
                await asyncio.sleep(PAUSE_SECONDS)  # and the message is back in half a minute

    async def stop(self) -> None:
        """Forgets the functions that are still at it."""
        for task in self._invocations:
            task.cancel()
        await asyncio.gather(*self._invocations, return_exceptions=True)

    async def _send(self, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        arn, payload = target["Arn"], target_input(target, event)
        service = arn.split(":")[2]
        if service == "states":
            start = "AWSStepFunctions.StartExecution"
            # Named for the event, so that one that comes twice starts one execution.
            await self._aws.call(
                "states", start, stateMachineArn=arn, input=payload, name=event["id"]
            )
        elif service == "sqs":
            url = queue_url(self._aws.endpoint_url, arn.rpartition(":")[2])
            send = "AmazonSQS.SendMessage"
            await self._aws.call("sqs", send, QueueUrl=url, MessageBody=payload)
        else:
            self._invoke(self._functions[arn], payload)

    def _invoke(self, function: LambdaFunction, payload: str) -> None:
        task = asyncio.create_task(function.invoke(payload.encode()).drain())
        self._invocations.add(task)
        task.add_done_callback(self._invocations.discard)


class Uploads:
    """Multipart uploads, each of which moto tells twice: it puts the object, then completes it."""

    def __init__(self) -> None:
        self._puts: dict[str, str] = {}  # the message of the put that is not completed yet

    def is_put(self, event: Mapping[str, Any], message_id: str) -> bool:
        """Whether it is what S3 does not tell: the first of the two, however often it comes."""
        if not is_multipart(event):
            return False
        return self._puts.setdefault(_upload(event), message_id) == message_id

    def end(self, event: Mapping[str, Any]) -> None:
        """Forgets the upload that an event completes, so that the same may come once more."""
        self._puts.pop(_upload(event), None)


def is_multipart(event: Mapping[str, Any]) -> bool:
    """Whether an event of moto's is of an object that came in parts, as its ETag tells."""
    is_new = (event["source"], event["detail-type"]) == ("aws.s3", "Object Created")
    return is_new and "-" in event["detail"]["object"]["eTag"]


def _upload(event: Mapping[str, Any]) -> str:
    detail = event["detail"]
    return json.dumps([detail.get("bucket"), detail.get("object")], sort_keys=True)


def target_input(target: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """What a target gets: the event, a part of it, or a constant."""
    if "Input" in target:
        return str(target["Input"])
    path = target.get("InputPath", "$").removeprefix("$").strip(".")
    return json.dumps(reduce(lambda part, key: part[key], filter(None, path.split(".")), event))


def completed(event: dict[str, Any], message_id: str, sent_millis: int) -> dict[str, Any]:
    """An event of moto's as AWS documents it, and the same whenever its message comes again."""
    event["account"] = ACCOUNT  # which moto leaves out of those that programs put
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
