"""CloudFormation's intrinsic functions, one row each."""

from typing import Any

import pytest

from local.cloudformation.intrinsics import UnresolvableError
from local.cloudformation.template import Template

DOCUMENT = {
    "Conditions": {
        "Yes": {"Fn::Equals": [{"Ref": "Count"}, "3"]},
        "No": {"Fn::Not": [{"Condition": "Yes"}]},
        "Both": {"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]},
        "Either": {"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]},
    },
    "Mappings": {"Sizes": {"us-east-1": {"small": 1}}},
    "Resources": {
        "Fn": {"Type": "AWS::Lambda::Function"},
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "Stage": {"Type": "AWS::ApiGateway::Stage", "Properties": {"StageName": "v9"}},
        "Gone": {"Type": "AWS::SQS::Queue", "Condition": "No"},
    },
}
FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:llm-relay-Fn"


@pytest.fixture
def template(tmp_path: Any) -> Template:
    return Template(root=tmp_path, document=DOCUMENT, parameters={"Count": 3, "Name": "n"})


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Count"}, 3),
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Ref": "Fn"}, "llm-relay-Fn"),
        ({"Ref": "Stage"}, "v9"),
        ({"Fn::GetAtt": ["Fn", "Arn"]}, FUNCTION_ARN),
        ({"Fn::GetAtt": "Fn.Arn"}, FUNCTION_ARN),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "arn:aws:s3:::llm-relay-bucket-123456789012"),
        ({"Fn::Sub": "${Name}-${AWS::AccountId}-${Fn.Arn}"}, f"n-123456789012-{FUNCTION_ARN}"),
        ({"Fn::Sub": "${!Literal}"}, "${Literal}"),
        ({"Fn::Sub": ["${Own}/${Name}", {"Own": {"Ref": "Count"}}]}, "3/n"),
        ({"Fn::If": ["Yes", "a", "b"]}, "a"),
        ({"Fn::If": ["No", "a", "b"]}, "b"),
        ({"Fn::If": ["Both", "a", "b"]}, "b"),
        ({"Fn::If": ["Either", "a", "b"]}, "a"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Count"}]]}, "a-3"),
        ({"Fn::Select": [1, {"Fn::Split": [",", "a,b"]}]}, "b"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "small"]}, 1),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [{"Ref": "AWS::NoValue"}, 1]}, {"b": [1]}),
        ({"Condition": {"Bool": {"k": {"Ref": "Name"}}}}, {"Condition": {"Bool": {"k": "n"}}}),
    ],
)
def test_an_intrinsic_function_gives(template: Template, value: Any, resolved: Any) -> None:
    assert template.resolver().resolve(value) == resolved


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"Ref": "Missing"}, "Missing"),
        ({"Fn::GetAtt": ["Fn", "Colour"]}, "Fn.Colour"),
        ({"Fn::ImportValue": "x"}, "Fn::ImportValue"),
        ({"Fn::If": ["Maybe", 1, 2]}, "Maybe"),
    ],
)
def test_an_unresolvable_value_is_named(template: Template, value: Any, named: str) -> None:
    with pytest.raises(UnresolvableError, match=named):
        template.resolver().resolve(value)


def test_a_resource_whose_condition_is_false_does_not_exist(template: Template) -> None:
    assert "Gone" not in template.types()


def test_a_ref_resolves_to_the_created_resource_s_id(template: Template) -> None:
    template.physical_ids["Bucket"] = "made"
    assert template.resolver().resolve({"Ref": "Bucket"}) == "made"
