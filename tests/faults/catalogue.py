"""Every fault at the socket, by name."""

from tests.faults.provider.body_faults import BODY_FAULTS
from tests.faults.provider.head_faults import HEAD_FAULTS
from tests.faults.provider.refusals import REFUSALS
from tests.faults.provider.stream_faults import STREAM_FAULTS

SCRIPTED = {fault.name: fault for fault in (*REFUSALS, *HEAD_FAULTS, *BODY_FAULTS, *STREAM_FAULTS)}
NO_FAULT = SCRIPTED["none"]
