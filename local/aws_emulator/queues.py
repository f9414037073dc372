"""SQS and Step Functions of this machine, called from the event loop."""

import json
from collections.abc import Sequence
from typing import Any

import aiohttp

from local.cloudformation.intrinsics import REGION

WAIT_SECONDS = 20
BATCH_LIMIT = 10  # messages that SQS gives or takes at once


class AwsCaller:
    """Calls services that speak JSON.

    Not boto3, whose long poll can neither be cancelled nor left behind when the stack ends.
    """

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url
        connector = aiohttp.TCPConnector(limit=0)  # everybody waits on a connection of their own
        patient = aiohttp.ClientTimeout(total=None)
        self._session = aiohttp.ClientSession(endpoint_url, connector=connector, timeout=patient)

    async def call(self, service: str, target: str, **body: Any) -> Any:
        """The answer to a call; raises aiohttp.ClientError."""
        credential = f"Credential=local/20000101/{REGION}/{service}/aws4_request"
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0",
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": target,
        }
        async with self._session.post("/", data=json.dumps(body), headers=headers) as response:
            response.raise_for_status()
            return json.loads(await response.read() or b"{}")

    async def close(self) -> None:
        """Hangs up."""
        await self._session.close()


class Queue:
    """One SQS queue, seen by those who empty it."""

    def __init__(self, aws: AwsCaller, url: str) -> None:
        self._aws, self._url = aws, url

    async def receive(
        self, most: int = BATCH_LIMIT, wait_seconds: int = WAIT_SECONDS
    ) -> list[dict[str, Any]]:
        """Messages as SQS gives them; an empty list after a while without any."""
        answer = await self._aws.call(
            "sqs",
            "AmazonSQS.ReceiveMessage",
            QueueUrl=self._url,
            MaxNumberOfMessages=min(most, BATCH_LIMIT),
            WaitTimeSeconds=wait_seconds,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages: list[dict[str, Any]] = answer.get("Messages") or []
        return messages

    async def delete(self, messages: Sequence[dict[str, Any]]) -> None:
        """Takes messages off for good."""
        for start in range(0, len(messages), BATCH_LIMIT):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages[start : start + BATCH_LIMIT])
            ]
            await self._aws.call(
                "sqs", "AmazonSQS.DeleteMessageBatch", QueueUrl=self._url, Entries=entries
            )
