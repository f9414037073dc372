"""Metrics of AWS's own services with their dimensions, as its documentation lists them."""

from collections.abc import Mapping

Listed = Mapping[str, frozenset[frozenset[str]]]


def _with(names: str, *dimensions: set[str]) -> Listed:
    return dict.fromkeys(names.split(), frozenset(map(frozenset, dimensions)))


AWS_METRICS: Mapping[str, Listed] = {
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": _with(
        "ConcurrentExecutions Duration Errors Invocations Throttles", {"FunctionName"}
    ),
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    "AWS/ApiGateway": _with(
        "4XXError 5XXError Count IntegrationLatency Latency", {"ApiName"}, {"ApiName", "Stage"}
    ),
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": _with(
        "ApproximateAgeOfOldestMessage ApproximateNumberOfMessagesNotVisible "
        "ApproximateNumberOfMessagesVisible",
        {"QueueName"},
    ),
    # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    "AWS/States": _with(
        "ExecutionsAborted ExecutionsFailed ExecutionsStarted ExecutionsSucceeded "
        "ExecutionsTimedOut",
        {"StateMachineArn"},
    ),
}
