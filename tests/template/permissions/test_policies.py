"""What a role allows is worked out here as IAM works it out."""

import pytest

from tests.template.permissions.policies import Request, Role, UnknownPolicyError

ALLOW = {"Effect": "Allow", "Action": "dynamodb:Get*", "Resource": "arn:?:table/*"}
KEYED = ALLOW | {"Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["a#*"]}}}
SINGLE = ALLOW | {"Condition": {"StringLike": {"dynamodb:LeadingKeys": "a#?"}}}
SOURCED = {
    "Effect": "Allow",
    "Action": "events:PutEvents",
    "Resource": "*",
    "Condition": {"StringEquals": {"events:source": "a*"}},
}
DENY = {"Effect": "Deny", "Action": "*", "Resource": "arn:x:table/secret"}
GET = "dynamodb:GetItem"


@pytest.mark.parametrize(
    ("statements", "request_", "allowed"),
    [
        ([], Request(GET, "arn:x:table/a"), False),
        ([ALLOW], Request(GET, "arn:x:table/a"), True),
        ([ALLOW], Request("DynamoDB:getitem", "arn:x:table/a"), True),
        ([ALLOW], Request(GET, "ARN:x:table/a"), False),
        ([ALLOW], Request(GET, "arn:xy:table/a"), False),
        ([ALLOW], Request("dynamodb:PutItem", "arn:x:table/a"), False),
        ([ALLOW], Request("s3:GetObject", "arn:x:table/a"), False),
        ([ALLOW, DENY], Request(GET, "arn:x:table/a"), True),
        ([ALLOW, DENY], Request(GET, "arn:x:table/secret"), False),
        ([DENY, ALLOW], Request(GET, "arn:x:table/secret"), False),
        ([KEYED], Request(GET, "arn:x:table/a", ("a#1", "a#2")), True),
        ([KEYED], Request(GET, "arn:x:table/a", ("a#1", "b#1")), False),
        ([KEYED], Request(GET, "arn:x:table/a"), True),
        ([SINGLE], Request(GET, "arn:x:table/a", ("a#1",)), True),
        ([SINGLE], Request(GET, "arn:x:table/a", ("a#12",)), False),
        ([SINGLE], Request(GET, "arn:x:table/a"), False),
        ([SOURCED], Request("events:PutEvents", "arn:bus", ("a*",)), True),
        ([SOURCED], Request("events:PutEvents", "arn:bus", ("ab",)), False),
        ([SOURCED], Request("events:PutEvents", "arn:bus", ("a*", "b")), False),
    ],
)
def test_a_role_is_read_as_iam_reads_it(
    statements: list[dict[str, object]], request_: Request, allowed: bool
) -> None:
    assert Role([*statements]).allows(request_) is allowed


@pytest.mark.parametrize(
    "statement",
    [
        ALLOW | {"NotAction": "s3:*"},
        ALLOW | {"Condition": {"StringNotLike": {"dynamodb:LeadingKeys": "a"}}},
        ALLOW | {"Resource": "arn:x:table/${aws:username}"},
    ],
)
def test_an_unsupported_policy_element_is_an_error(
    statement: dict[str, object],
) -> None:
    with pytest.raises(UnknownPolicyError):
        Role([statement]).allows(Request(GET, "arn:x:table/a"))
