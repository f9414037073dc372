"""What IAM would be asked about one HTTP request to AWS."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from local.cloudformation.intrinsics import ACCOUNT, REGION
from tests.template.calls import BUS
from tests.template.permissions.policies import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Said = dict[str, Any]

# A function is known by the access key that it signs with, in a header or in a link.
SIGNATURE = re.compile(r"Credential=(?P<function>[^/]+)/\d+/[^/]+/(?P<service>[^/]+)/aws4_request")
PK_VALUE = re.compile(r"\bpk = (:\w+)")
TRANSACTION = "TransactWriteItems"


@dataclass(frozen=True)
class Asked:
    """An HTTP request; the names of its headers are in lower case."""

    method: str
    path: str  # with the query
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class AwsCall:
    """A call that a function made."""

    function: str
    request: Request


def calls_in(asked: Asked, status: int) -> Iterator[AwsCall]:
    """What IAM is asked; ValueError if that cannot be derived. Several things for some requests."""
    signed = SIGNATURE.search(asked.headers.get("authorization", "") or unquote(asked.path))
    if not signed:
        raise ValueError("not signed")
    service = signed["service"]
    found = in_s3(asked, status) if service == "s3" else in_json(service, asked)
    for request in found:
        yield AwsCall(signed["function"], request)


def in_json(service: str, asked: Asked) -> Iterator[Request]:
    """What a request in AWS's JSON form asks."""
    operation = asked.headers["x-amz-target"].rpartition(".")[2]
    said = json.loads(asked.body)
    if operation == TRANSACTION:
        for item in said["TransactItems"]:
            ((kind, part),) = item.items()
            yield on_item(kind if kind == "ConditionCheck" else f"{kind}Item", part)
    elif service == "dynamodb":
        yield on_item(operation, said)
    elif service == "events":
        for entry in said["Entries"]:
            yield Request("events:" + operation, entry.get("EventBusName", BUS), (entry["Source"],))
    else:
        yield Request(f"{service}:{operation}", RESOURCES[service](said))


RESOURCES: Mapping[str, Callable[[Said], str]] = {
    "secretsmanager": lambda said: str(said["SecretId"]),
    "sqs": lambda said: named("sqs", said["QueueUrl"].rpartition("/")[2]),
    "states": lambda said: str(said.get("executionArn") or said["stateMachineArn"]),
}


def named(service: str, name: str) -> str:
    """The ARN of something by its name."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def on_item(operation: str, said: Said) -> Request:
    """A call of DynamoDB, with the partition key of its item."""
    key = said.get("Key") or said.get("Item") or keyed_by(said)
    value = key.get("pk") or key.get("id")
    table = named("dynamodb", f"table/{said['TableName']}")
    return Request(f"dynamodb:{operation}", table, (value["S"],) if value else ())


def keyed_by(said: Said) -> Said:
    """The partition key that a query names in its condition."""
    found = PK_VALUE.search(said.get("KeyConditionExpression", ""))
    return {"pk": said["ExpressionAttributeValues"][found[1]]} if found else {}


def in_s3(asked: Asked, status: int) -> Iterator[Request]:
    """What a request to S3 asks; learning that an object is missing takes the right to list."""
    url = urlsplit(asked.path)
    query = parse_qs(url.query, keep_blank_values=True)
    bucket, _, key = unquote(url.path).lstrip("/").partition("/")
    arn = f"arn:aws:s3:::{bucket}"
    if not key:
        if asked.method != "GET" or "list-type" not in query:
            raise ValueError("not known of a bucket")
        yield Request("s3:ListBucket", arn)
        return
    yield Request(f"s3:{on_object(asked.method, 'uploadId' in query)}", f"{arn}/{key}")
    if status == HTTPStatus.NOT_FOUND:
        yield Request("s3:ListBucket", arn)


def on_object(method: str, is_part: bool) -> str:
    """The action on an object; IAM knows parts of uploads, too, by the object's."""
    if method == "DELETE" and is_part:
        return "AbortMultipartUpload"
    actions = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "POST": "PutObject"}
    return (actions | {"DELETE": "DeleteObject"})[method]
