"""A client's key is replaced while its client goes on calling."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from tests.cli.conftest import RelayRunner


def test_the_old_key_works_until_the_overlap_ends(runner: RelayRunner) -> None:
    old = runner.quiet("keys", "create", "rotating", "--rps", "1000", "--quiet")
    assert runner.status(old) == 200
    new = runner.quiet("keys", "rotate", "rotating", "--overlap", "1h", "--quiet")
    assert new != old
    assert {runner.status(key) for _ in range(3) for key in (old, new)} == {200}
    let_overlap_pass(runner)
    wait_until(lambda: runner.status(old) == 401)  # the gateway keeps the authorizer's word a while
    assert runner.status(new) == 200
    serials = runner.item("rotating")["keys"]["M"]
    assert serials["0001"]["M"]["key_id"]["S"] in runner.relay("keys", "prune").stderr


def let_overlap_pass(runner: RelayRunner) -> None:
    """Move the end of the old key from the future to this second, which the stack sees pass."""
    item = runner.item("rotating")
    runner.stack.aws("dynamodb").update_item(
        TableName=runner.stack.template.ref("ClientsTable"),
        Key={name: item[name] for name in ("pk", "sk")},
        UpdateExpression="SET #k.#s.dies_at = :now",
        ExpressionAttributeNames={"#k": "keys", "#s": "0001"},
        ExpressionAttributeValues={":now": {"N": str(int(time.time()))}},
    )


def test_a_revoked_key_is_rejected_at_once_despite_the_authorizer_cache(
    runner: RelayRunner,
) -> None:
    key = runner.quiet("keys", "create", "revoked-now", "--quiet")
    assert runner.status(key) == 200
    runner.quiet("keys", "revoke", "revoked-now", "--yes")
    assert runner.status(key) == 401
