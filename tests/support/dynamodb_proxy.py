"""The way to moto's DynamoDB: one request at a time, and faults where a test wants them."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.aws_proxy import Answer, AwsDoor
from tests.support.caller_faults import caller_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.aws_proxy import Sent

# The request is lost; its reply is lost after it was done; another change is in its way; it fails.
LOST, UNHEARD, CONFLICT, AWAY = "lost", "unheard", "conflict", "away"
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
class Door(AwsDoor):
    """DynamoDB's operations as they passed, and the fault that the next one meets, if any.

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
            if fault == AWAY:
                body = json.dumps({"__type": f"{_PREFIX}InternalServerError"})
                return Answer(500, body.encode(), _JSON)
            answer = None if fault == LOST else self.done(sent)
            return None if fault == UNHEARD else answer
