"""What mends a stack of `make run` is on this machine."""

from __future__ import annotations

from cli.doctor_local import at_home
from llm_relay.deadline import Deadline
from llm_relay.doctor.provider_findings import base_url
from llm_relay.doctor.visit import visit
from llm_relay.settings import UpstreamSettings
from llm_relay.upstream import Upstream

NOBODY = "http://127.0.0.1:1/v1"


def test_a_provider_that_is_not_there_is_mended_by_a_restart() -> None:
    settings = UpstreamSettings.from_mapping({"UPSTREAM_BASE_URL": NOBODY})
    deployed = base_url(visit(Upstream(settings), ["sk-x"], None, Deadline.after(30)))
    here = at_home(deployed)
    assert "sam deploy" in (deployed.fix or "")
    assert "NAT gateway" in deployed.says
    assert "UPSTREAM_BASE_URL=https://... make run" in (here.fix or "")
    assert "sam deploy" not in (here.fix or "")
    assert "NAT gateway" not in here.says
