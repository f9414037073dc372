"""Asynchronous calls of moto's SQS and Step Functions."""

import json
from collections.abc import Sequence
from typing import Any

import aiohttp

from local.cloudformation.intrinsics import REGION

WAIT_SECONDS = 20
PAUSE_SECONDS = 1.0  # after SQS has failed
BATCH_LIMIT = 10  # messages that SQS gives or takes at once
TARGETS = {"events": "AWSEvents", "sqs": "AmazonSQS", "states": "AWSStepFunctions"}


class AwsCaller:
    """Calls services that speak JSON.

    Not boto3, whose long poll cannot be cancelled when the stack stops.
    """

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url
        connector = aiohttp.TCPConnector(limit=0)  # long polls each need a connection
        no_timeout = aiohttp.ClientTimeout(total=None)
        self._session = aiohttp.ClientSession(endpoint_url, connector=connector, timeout=no_timeout)

    async def call(self, service: str, action: str, **body: Any) -> Any:
        """Return the answer to a call; aiohttp.ClientError if it fails."""
        credential = f"Credential=local/20000101/{REGION}/{service}/aws4_request"
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0",
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"{TARGETS[service]}.{action}",
        }
        async with self._session.post("/", data=json.dumps(body), headers=headers) as response:
            response.raise_for_status()
            return json.loads(await response.read() or b"{}")

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


class Queue:
    """One SQS queue, for consumers."""

    def __init__(self, aws: AwsCaller, url: str) -> None:
        self._aws, self._url = aws, url

    async def receive(
        self, most: int = BATCH_LIMIT, wait_seconds: int = WAIT_SECONDS
    ) -> list[dict[str, Any]]:
        """Return messages; an empty list after a long poll without any."""
        answer = await self._aws.call(
            "sqs",
            "ReceiveMessage",
            QueueUrl=self._url,
            MaxNumberOfMessages=min(most, BATCH_LIMIT),
            WaitTimeSeconds=wait_seconds,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages") or [])

    async def delete(self, messages: Sequence[dict[str, Any]]) -> None:
        """Delete messages."""
        for start in range(0, len(messages), BATCH_LIMIT):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages[start : start + BATCH_LIMIT])
            ]
            await self._aws.call("sqs", "DeleteMessageBatch", QueueUrl=self._url, Entries=entries)
