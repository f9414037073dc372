"""A proxy in front of moto's DynamoDB: one request at a time, with faults on demand."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.aws_proxy import Answer, AwsProxy
from tests.support.caller_faults import caller_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.aws_proxy import Sent

RESET_BEFORE_EXECUTION = "reset before execution"
RESET_AFTER_EXECUTION = "reset after execution"
CONFLICT = "conflict"  # another change is in the way
UNAVAILABLE = "unavailable"
_PREFIX = "com.amazonaws.dynamodb.v20120810#"
_CONFLICTS: dict[str, Any] = {
    "UpdateItem": {"__type": f"{_PREFIX}TransactionConflictException", "message": "conflict"},
    "TransactWriteItems": {
        "__type": f"{_PREFIX}TransactionCanceledException",
        "Message": "cancelled",
        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
    },
}
_JSON = {"Content-Type": "application/x-amz-json-1.0"}


@dataclass
class DynamoDbProxy(AwsProxy):
    """Records DynamoDB's operations, and injects a fault into the next one, if any.

    `fault` goes by the operation, `fault_for` by the caller.
    """

    operations: list[str] = field(default_factory=list)
    fault: Callable[[str], str | None] = field(default=lambda _operation: None)
    fault_for: Callable[[str], str | None] = field(default=lambda _caller: None)
    _turn: threading.Lock = field(default_factory=threading.Lock)  # moto works in two steps

    def answer(self, sent: Sent) -> Answer | None:
        """Return the answer, or None for a connection that breaks."""
        operation = sent.headers["x-amz-target"].rpartition(".")[2]
        with self._turn:
            self.operations.append(operation)
            fault = self.fault(operation) or self.fault_for(caller_in(sent.headers))
            if fault == CONFLICT and operation in _CONFLICTS:
                return Answer(400, json.dumps(_CONFLICTS[operation]).encode(), _JSON)
            if fault == UNAVAILABLE:
                body = json.dumps({"__type": f"{_PREFIX}InternalServerError"})
                return Answer(500, body.encode(), _JSON)
            answer = None if fault == RESET_BEFORE_EXECUTION else self.forward(sent)
            return None if fault == RESET_AFTER_EXECUTION else answer
