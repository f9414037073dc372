"""What the process knows that killed functions are forked from: imports, and AWS's models."""

from __future__ import annotations

from functools import cache

import botocore.session

from functions.batch_assemble.handler import handler as _assemble
from functions.batch_plan.handler import handler as _plan
from functions.batch_worker.handler import handler as _worker
from functions.chat_completions.handler import handler as _chat
from functions.job_worker.handler import handler as _job

__all__ = ["_assemble", "_chat", "_job", "_plan", "_worker"]

botocore.session.create_loader = cache(botocore.session.create_loader)
for service in ("dynamodb", "events", "s3", "sqs"):
    botocore.session.Session().create_client(service, region_name="us-east-1")
