"""Histories for people: a transaction that went well is one line, and rounds of workers that found nothing are none."""

from collections.abc import Sequence

from tests.simulation.stage import GO, Step

BEGIN, COMMITTED = "begin ", "committed "
IDLE = (
    "start_due",
    "run_once",
    "reap_page",
    "expire_page",
    "is_full",
    "forget_reports",
    "forget_answers",
    "forget_webhooks",
    "forget_events",
    "look",
)  # looks that change nothing


def readable(history: Sequence[Step]) -> list[str]:
    """One line for each thing that happened."""
    lines: list[Step] = []
    open_of: dict[tuple[str, str, str], int] = {}  # where each transaction's line is
    for step in history:
        name = step.what.removeprefix(BEGIN).removeprefix(COMMITTED)
        place = (step.process, step.actor, name)
        if step.luck == GO and name in IDLE:
            continue
        if step.luck == GO and step.what.startswith(COMMITTED) and place in open_of:
            before = lines[open_of.pop(place)]
            if before is lines[-1] or before.at_s == step.at_s:
                continue
        if step.what.startswith(BEGIN) and step.luck == GO:
            open_of[place] = len(lines)
            lines.append(step._replace(what=name))
        else:
            lines.append(step)
    return [str(line) for line in lines]
