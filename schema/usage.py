"""What was used."""

from datetime import date

import strawberry

from domain.ids import IdKind, encode_id
from domain.usage import Figures, Line
from schema.scalars import Count


@strawberry.type(description="How much of each was used.")
class UsageFigures:
    requests: Count = strawberry.field(description="Requests that were admitted.")
    cost: Count = strawberry.field(description="The points that they were charged.")
    errors: Count = strawberry.field(description="Of these requests, those whose answers had errors. A refusal is none.")
    payments: Count = strawberry.field(description="Payments that were accepted. A repetition is none.")
    events: Count = strawberry.field(description="Events that were sent over subscriptions.")


@strawberry.type(description="What was used on a day, in a month, or with a key.")
class UsageLine:
    since: date | None = strawberry.field(description="The day, or the first day of the month; null by key.")
    api_key_id: strawberry.ID | None = strawberry.field(description="The key; null by day and by month.")
    figures: UsageFigures = strawberry.field(description="How much.")


@strawberry.type(description="What was used within some days (UTC). It is at most some seconds behind.")
class Usage:
    lines: list[UsageLine] = strawberry.field(
        description="By day, month or key, in this order. Where nothing was used is no line."
    )
    total: UsageFigures = strawberry.field(description="All lines together.")


def usage_of(lines: list[Line]) -> Usage:
    """A report as the schema shows it."""
    figures = [line.figures for line in lines]
    total = Figures(
        requests=sum(each.requests for each in figures),
        cost=sum(each.cost for each in figures),
        errors=sum(each.errors for each in figures),
        payments=sum(each.payments for each in figures),
        events=sum(each.events for each in figures),
    )
    return Usage(lines=[_line_of(line) for line in lines], total=_figures_of(total))


def _line_of(line: Line) -> UsageLine:
    key_id = None if line.key_id is None else strawberry.ID(encode_id(IdKind.API_KEY, line.key_id))
    return UsageLine(since=line.since, api_key_id=key_id, figures=_figures_of(line.figures))


def _figures_of(figures: Figures) -> UsageFigures:
    return UsageFigures(
        requests=Count(figures.requests),
        cost=Count(figures.cost),
        errors=Count(figures.errors),
        payments=Count(figures.payments),
        events=Count(figures.events),
    )
