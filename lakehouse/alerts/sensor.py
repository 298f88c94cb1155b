"""The sensor that tells people what is wrong, once, and when it is over. What each receiver knows is its cursor. Not here: what is wrong (`problems`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import dagster as dg

from lakehouse.alerts.channels import Channel, channels
from lakehouse.alerts.news import from_plain, news, to_plain
from lakehouse.alerts.problems import Failed, Lake
from lakehouse.contracts.model import Contract
from lakehouse.errors import AlertError
from lakehouse.orphans import end_orphans
from lakehouse.pauses import Pauses
from lakehouse.settings import settings

SECONDS = 60
QUIET = timedelta(minutes=10)  # a problem that was not seen for so long is over
_AT_ONCE = 8
_FIRST_LOOK = timedelta(days=1)  # how far back failed runs are looked for when there is no cursor


def alert_sensor(contracts: Mapping[str, Contract], quiet: timedelta = QUIET) -> dg.SensorDefinition:
    """Looks at runs, checks, data and sources, and tells each receiver what is new to it. A receiver that can't be told is tried again at the next tick."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells owners about failed runs and checks, old data, broken and paused sources: once, and when it is over. Only the log, unless set.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        assert context.repository_def is not None
        end_orphans(context.instance)  # on a quiet lake nobody else looks, and what they hold would be held for good
        lake = Lake(context.instance, context.repository_def.asset_graph, contracts, _pauses(context.instance))
        now = datetime.now(UTC)
        cursor: dict[str, Any] = json.loads(context.cursor or "{}")
        known = {step: Failed(**failure) for step, failure in cursor.get("failed", {}).items()}
        since = min(cursor.get("looked_until", (now - _FIRST_LOOK).timestamp()), now.timestamp())  # a clock that was set back hides no failure
        failed, looked_until = lake.failures(known, since, first=not cursor)
        present = list(lake.present(failed, now))
        owners = {owner for p in present for owner in p.owners} | {o for c in contracts.values() for o in c.owners}
        before = cursor.get("told", {})

        def tell(channel: Channel) -> tuple[str, dict[str, Any], str]:
            known = before.get(channel.name, {})
            message, memory = news(from_plain(known), filter(channel.wants, present), now.timestamp(), quiet.total_seconds())
            try:
                if message:
                    channel.tell(message)
            except AlertError as error:
                context.log.error(error.what)
                return channel.name, known, error.what
            except Exception as error:  # noqa: BLE001 - of one channel, told by its kind alone: its text may hold an address with a password
                said = f"{channel.name} could not be told: {type(error).__name__}."
                context.log.error(said)
                return channel.name, known, said
            said = f"told {channel.name}: {len(message.problems)} new, {len(message.over)} over" if message else ""
            return channel.name, to_plain(memory), said

        with ThreadPoolExecutor(_AT_ONCE) as pool:  # one that does not answer must not keep the others waiting
            done = list(pool.map(tell, channels(settings(), owners, context.log)))
        told, said = {name: memory for name, memory, _ in done}, [text for _, _, text in done if text]
        state = {"looked_until": looked_until, "failed": {step: asdict(f) for step, f in failed.items()}, "told": told}
        summary = f"{len(present)} problems" if present else "Nothing is wrong"
        return dg.SensorResult(skip_reason="; ".join([summary, *said]) + ".", cursor=json.dumps(state))

    return alerts


def _pauses(instance: dg.DagsterInstance) -> Pauses:
    """The sources that sensors leave alone, whichever sensor it is: their cursors say so. Schedules are asked too, and have none."""
    cursors = [getattr(state.instigator_data, "cursor", None) for state in instance.all_instigator_state()]
    return Pauses(dict(chain.from_iterable(Pauses.parse(cursor).broken.items() for cursor in cursors)))
