"""Keys and usage plans in API Gateway, which alone stores and compares the values of keys."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_apigateway.type_defs import UsagePlanResponseTypeDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How often a client may call; None leaves what the stack's own plan says."""

    rate: float | None = None  # requests per second
    burst: int | None = None
    quota: int | None = None
    quota_per: str = "day"

    @property
    def any(self) -> bool:
        """Whether there is something that the stack's own plan does not say."""
        return self.rate is not None or self.quota is not None


class ApiKeys:
    """The API keys of a stack; `shared_plan` is the usage plan that the template makes."""

    def __init__(self, connect: "Callable[[], APIGatewayClient]", shared_plan: str) -> None:
        self._connect, self.shared_plan = connect, shared_plan

    @cached_property
    def _gateway(self) -> "APIGatewayClient":
        return self._connect()  # takes a while, and half of the commands need none

    def make(self, name: str, value: str, description: str) -> str:
        """Makes a key that is on no plan yet; returns its id."""
        made = self._gateway.create_api_key(
            name=name, value=value, description=description, enabled=True
        )
        return made["id"]

    def put_on_plan(self, key_id: str, plan_id: str) -> None:
        """Lets a key in, as often as the plan says."""
        self._gateway.create_usage_plan_key(usagePlanId=plan_id, keyId=key_id, keyType="API_KEY")

    def delete(self, key_id: str) -> None:
        """Deletes a key, if it is still there."""
        with suppress(self._gateway.exceptions.NotFoundException):
            self._gateway.delete_api_key(apiKey=key_id)

    def make_plan(self, name: str, limits: Limits) -> str:
        """Makes a plan like the shared one with other limits; returns its id."""
        shared = self.plan(self.shared_plan)
        settings: dict[str, Any] = {
            "apiStages": [
                {"apiId": stage["apiId"], "stage": stage["stage"]} for stage in shared["apiStages"]
            ],
            "throttle": shared.get("throttle"),
            "quota": shared.get("quota"),
        }
        if limits.rate is not None:
            burst = limits.burst or max(1, round(2 * limits.rate))
            settings["throttle"] = {"rateLimit": limits.rate, "burstLimit": burst}
        if limits.quota is not None:
            settings["quota"] = {"limit": limits.quota, "period": limits.quota_per.upper()}
        given = {key: value for key, value in settings.items() if value}
        return self._gateway.create_usage_plan(name=name, **given)["id"]

    def plan(self, plan_id: str) -> "UsagePlanResponseTypeDef":
        """A usage plan as API Gateway describes it."""
        return self._gateway.get_usage_plan(usagePlanId=plan_id)

    def delete_plan(self, plan_id: str) -> None:
        """Deletes a client's own plan, if it is still there; never the shared one."""
        if plan_id == self.shared_plan:
            return
        with suppress(self._gateway.exceptions.NotFoundException):
            for stage in self.plan(plan_id).get("apiStages", []):  # else it may not be deleted
                self._gateway.update_usage_plan(
                    usagePlanId=plan_id,
                    patchOperations=[
                        {
                            "op": "remove",
                            "path": "/apiStages",
                            "value": f"{stage['apiId']}:{stage['stage']}",
                        }
                    ],
                )
            self._gateway.delete_usage_plan(usagePlanId=plan_id)
