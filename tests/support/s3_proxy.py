"""A proxy in front of moto's S3 that delays reads of parts."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.aws_proxy import Answer, AwsProxy

if TYPE_CHECKING:
    from tests.support.aws_proxy import Sent

_TIMEOUT_SECONDS = 60


@dataclass
class S3Proxy(AwsProxy):
    """Forwards everything at once, and parts when it is `open`; `held` wait for that."""

    held: int = 0
    open: threading.Event = field(default_factory=threading.Event)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __exit__(self, *_: object) -> None:
        self.open.set()
        super().__exit__()

    def answer(self, sent: Sent) -> Answer | None:
        """Return the answer, for a part once it may pass."""
        if sent.method == "GET" and "/parts/" in sent.path.partition("?")[0]:
            with self._turn:
                self.held += 1
            self.open.wait(_TIMEOUT_SECONDS)
        return self.forward(sent)
