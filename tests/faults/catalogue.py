"""Every fault at the socket, by name."""

from tests.faults.body_faults import BODY_FAULTS
from tests.faults.head_faults import HEAD_FAULTS
from tests.faults.refusals import REFUSALS
from tests.faults.stream_faults import STREAM_FAULTS

SCRIPTED = {fault.name: fault for fault in (*REFUSALS, *HEAD_FAULTS, *BODY_FAULTS, *STREAM_FAULTS)}
NO_FAULT = SCRIPTED["none"]
