"""The dashboard and the saved queries, as CloudWatch gets them."""

import re

from tests.template.operations.aws_metrics import AWS_METRICS
from tests.template.operations.monitored import (
    alarm_metrics,
    alarms,
    dashboard_metrics,
    dashboard_searches,
    template,
    widgets,
)
from tests.template.stack import Stack

FREE_METRICS = 50  # on each of an account's first three dashboards
CHAPTERS = ["Traffic", "Errors", "Latency", "Provider", "Cost", "Batches", "Lambda"]


def test_the_dashboard_has_a_chapter_for_each_of_an_operator_s_questions() -> None:
    titles = [w["properties"]["markdown"] for w in widgets() if w["type"] == "text"]
    assert [re.findall(r"\w+", title)[0] for title in titles] == CHAPTERS


def test_the_dashboard_names_no_more_metrics_than_are_free() -> None:
    assert len(dashboard_metrics()) <= FREE_METRICS


def test_every_graph_is_of_the_stack_s_own_region_and_has_a_title() -> None:
    shown = [w["properties"] for w in widgets() if w["type"] != "text"]
    assert {each["region"] for each in shown} == {"us-east-1"}
    titles = [each["title"] for each in shown]
    assert sorted(titles) == sorted(set(titles))


def test_every_metric_of_aws_exists_with_those_dimensions() -> None:
    watched = {metric for alarm in alarms().values() for metric, _ in alarm_metrics(alarm).values()}
    theirs = {m for m in watched | dashboard_metrics() if m.namespace != "LlmRelay"}
    unknown = {m for m in theirs if m.keys not in AWS_METRICS[m.namespace].get(m.name, frozenset())}
    assert theirs
    assert unknown == set()
    assert {space for space, _, _ in dashboard_searches()} == {"LlmRelay"}


def test_only_metrics_of_the_stack_are_monitored() -> None:
    read = template()
    own = {read.ref(name) for name in read.types()} | {"llm-relay", "relay"}
    own |= {read.attribute(name, "QueueName") for name in read.ids("AWS::SQS::Queue")}
    watched = {metric for alarm in alarms().values() for metric, _ in alarm_metrics(alarm).values()}
    named = watched | dashboard_metrics()
    values = {value for m in named for key, value in m.dimensions if key != "route"}
    assert values - own == set()


def test_queries_use_log_groups_of_the_stack(stack: Stack) -> None:
    groups = set(stack.of_type("AWS::Logs::LogGroup"))
    asked = {
        group["Ref"]
        for query in stack.of_type("AWS::Logs::QueryDefinition").values()
        for group in query["LogGroupNames"]
    }
    read = template()
    sources = {
        source
        for widget in widgets()
        for source in re.findall(r"SOURCE '([^']+)'", widget["properties"].get("query", ""))
    }
    assert asked <= groups
    assert sources <= {read.ref(group) for group in groups}
    assert sources


def test_no_graph_has_a_billed_metric_per_client() -> None:
    keys = {key for _, _, keys in dashboard_searches() for key in keys}
    assert keys == {"service", "route", "model"}


def test_the_dashboard_can_be_left_out() -> None:
    kept = template(Dashboard="off")
    assert "AWS::CloudWatch::Dashboard" not in kept.types().values()
