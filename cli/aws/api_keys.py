"""API keys and usage plans in API Gateway, which alone stores the keys' values."""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.aws.target_stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_apigateway.type_defs import UsagePlanResponseTypeDef


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Rate limits of a client; None means the stack's default."""

    rate: float | None = None  # requests per second
    burst: int | None = None
    quota: int | None = None
    quota_per: str = "day"

    @property
    def any(self) -> bool:
        """Whether any limit differs from the stack's default."""
        return self.rate is not None or self.quota is not None


class ApiKeys:
    """The API keys of a stack; `shared_plan` is the template's usage plan."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self.shared_plan = stack, stack.resource("UsagePlan")

    @property
    def _gateway(self) -> "APIGatewayClient":
        return self._stack.client("apigateway")

    def make(self, name: str, value: str, description: str) -> str:
        """Create a key without a plan; return its id."""
        return self._gateway.create_api_key(
            name=name, value=value, description=description, enabled=True
        )["id"]

    def put_on_plan(self, key_id: str, plan_id: str) -> None:
        """Add a key to a plan."""
        self._gateway.create_usage_plan_key(usagePlanId=plan_id, keyId=key_id, keyType="API_KEY")

    def delete(self, key_id: str) -> None:
        """Delete a key, if it exists."""
        with suppress(self._gateway.exceptions.NotFoundException):
            self._gateway.delete_api_key(apiKey=key_id)

    def make_plan(self, name: str, limits: RateLimits) -> str:
        """Create a plan from the shared one with other limits; return its id."""
        shared = self.plan(self.shared_plan)
        stages = [{"apiId": each["apiId"], "stage": each["stage"]} for each in shared["apiStages"]]
        settings: dict[str, Any] = {
            "apiStages": stages,
            "throttle": shared.get("throttle"),
            "quota": shared.get("quota"),
        }
        if limits.rate is not None:
            burst = limits.burst or max(1, round(2 * limits.rate))
            settings["throttle"] = {"rateLimit": limits.rate, "burstLimit": burst}
        if limits.quota is not None:
            settings["quota"] = {"limit": limits.quota, "period": limits.quota_per.upper()}
        settings = {key: value for key, value in settings.items() if value}
        return self._gateway.create_usage_plan(name=name, **settings)["id"]

    def plan(self, plan_id: str) -> "UsagePlanResponseTypeDef":
        """Return API Gateway's description of a usage plan."""
        return self._gateway.get_usage_plan(usagePlanId=plan_id)

    def delete_plan(self, plan_id: str) -> None:
        """Delete a client's own plan, if it exists; never the shared one."""
        if plan_id == self.shared_plan:
            return
        with suppress(self._gateway.exceptions.NotFoundException):
            for stage in self.plan(plan_id).get("apiStages", []):  # else it cannot be deleted
                value = f"{stage['apiId']}:{stage['stage']}"
                self._gateway.update_usage_plan(
                    usagePlanId=plan_id,
                    patchOperations=[{"op": "remove", "path": "/apiStages", "value": value}],
                )
            self._gateway.delete_usage_plan(usagePlanId=plan_id)
