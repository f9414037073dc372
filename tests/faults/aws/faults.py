"""Faults of AWS, injected by a proxy in front of moto in the error format of each service."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tests.support.aws_proxy import Answer, AwsProxy
from tests.support.caller_faults import caller_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.aws_proxy import Sent

THROTTLED = "throttled"
DENIED = "denied"
UNAVAILABLE = "unavailable"
RESET_BEFORE_EXECUTION = "reset before execution"
RESET_AFTER_EXECUTION = "reset after execution"
CONFLICT = "conflict"  # another change is in the way
SLOW = "slow"
ERROR_IN_200_BODY = "error in a 200 body"  # of S3
TRANSIENT = (THROTTLED, UNAVAILABLE, RESET_BEFORE_EXECUTION, RESET_AFTER_EXECUTION, CONFLICT, SLOW)
SLOW_SECONDS = 0.2

_SIGNED_FOR = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
# The key of an item in DynamoDB, or a job in a message.
_DONE_TO = re.compile(r'"Key": \{"pk".*?\}\}|job-\d+')
_NEW_IN_EACH_RUN = re.compile("[0-9a-f]{10,}")
_TARGETS = {"dynamodb": "com.amazonaws.dynamodb.v20120810#", "sqs": "com.amazonaws.sqs#"}
_WORDS = {
    ("dynamodb", THROTTLED): (400, "ProvisionedThroughputExceededException"),
    ("dynamodb", UNAVAILABLE): (500, "InternalServerError"),
    ("dynamodb", CONFLICT): (400, "TransactionConflictException"),
    ("secretsmanager", UNAVAILABLE): (500, "InternalServiceError"),
    ("sqs", THROTTLED): (400, "RequestThrottled"),
    ("s3", THROTTLED): (503, "SlowDown"),
    ("s3", UNAVAILABLE): (500, "InternalError"),
    ("s3", DENIED): (403, "AccessDenied"),
    ("s3", ERROR_IN_200_BODY): (200, "InternalError"),
    ("s3", CONFLICT): (409, "OperationAborted"),
}
_COMMON = {
    THROTTLED: (400, "ThrottlingException"),
    UNAVAILABLE: (500, "InternalFailure"),
    DENIED: (400, "AccessDeniedException"),
    CONFLICT: (400, "ThrottlingException"),
}
_CANCELLED = {THROTTLED: "ThrottlingError", CONFLICT: "TransactionConflict"}
_UPLOADS = {
    ("POST", "uploads"): "CreateMultipartUpload",
    ("PUT", "uploadId"): "UploadPart",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
}
_OBJECTS = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}


@dataclass
class FaultyAws(AwsProxy):
    """Every service behind one address; `fault` says what an operation such as s3.PutObject meets.

    `fault_for` says the same by the caller, or else by what the operation is done to.
    `passed` is called with each operation that was done, before the caller gets the answer.
    """

    fault: Callable[[str], str | None] = field(default=lambda _operation: None)
    fault_for: Callable[[str], str | None] = field(default=lambda _name: None)
    passed: Callable[[str], object] = field(default=lambda _operation: None)
    operations: list[str] = field(default_factory=list)
    met: Counter[tuple[str, str]] = field(default_factory=Counter)  # service and fault
    _turn: threading.Lock = field(default_factory=threading.Lock)  # moto works in two steps

    def clear_faults(self) -> None:
        """Forward everything from now on."""
        self.fault = lambda _operation: None
        self.fault_for = lambda _name: None

    def answer(self, sent: Sent) -> Answer | None:
        """Return the answer, or None for a connection that breaks."""
        service, operation = operation_of(sent)
        with self._turn:
            self.operations.append(f"{service}.{operation}")
            fault = self.fault(f"{service}.{operation}") or self.fault_for(name_of(sent))
            self.met[service, fault or ""] += 1
        if fault == SLOW:
            time.sleep(SLOW_SECONDS)
        elif fault == RESET_BEFORE_EXECUTION:
            return None
        elif fault and fault != RESET_AFTER_EXECUTION:
            return refusal(service, operation, fault)
        with self._turn:
            answer = self.forward(sent)
        self.passed(f"{service}.{operation}")
        return None if fault == RESET_AFTER_EXECUTION else answer


def operation_of(sent: Sent) -> tuple[str, str]:
    """Return what a request asks for, as AWS calls it."""
    found = _SIGNED_FOR.search(sent.headers.get("authorization", ""))
    service = found[1] if found else "s3"  # a presigned link
    if target := sent.headers.get("x-amz-target"):
        return service, target.rpartition(".")[2]
    url = urlsplit(sent.path)
    asked = parse_qs(url.query, keep_blank_values=True)
    for (method, name), operation in _UPLOADS.items():
        if method == sent.method and name in asked:
            return service, operation
    return service, "ListObjectsV2" if "list-type" in asked else _OBJECTS.get(sent.method, "")


def name_of(sent: Sent) -> str:
    """Return the caller of a request, or else what it is done to, the same in each run."""
    if caller := caller_in(sent.headers):
        return caller
    key = _DONE_TO.search(sent.body.decode(errors="replace"))
    place = key[0] if key else urlsplit(sent.path).path
    return " ".join([*operation_of(sent), _NEW_IN_EACH_RUN.sub("", place)])


def refusal(service: str, operation: str, fault: str) -> Answer:
    """Return a fault in the words of a service."""
    status, code = _WORDS.get((service, fault)) or _COMMON[fault]
    if service == "s3":
        text = f"<Error><Code>{code}</Code><Message>{fault}</Message></Error>"
        return Answer(status, text.encode(), {"Content-Type": "application/xml"})
    document: dict[str, object] = {"__type": _TARGETS.get(service, "") + code, "message": fault}
    if operation == "TransactWriteItems" and fault in _CANCELLED:
        document["__type"] = _TARGETS[service] + "TransactionCanceledException"
        document["CancellationReasons"] = [{"Code": _CANCELLED[fault]}, {"Code": "None"}]
    body = json.dumps(document).encode()
    return Answer(status, body, {"Content-Type": "application/x-amz-json-1.1"})
