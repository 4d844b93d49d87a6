"""Relay connections: pages behind opaque keyset cursors, stable under inserts."""

from collections.abc import Awaitable, Callable

import strawberry

from schema.payment import Payment


@strawberry.type(description="Where a page begins and ends, and whether there is more.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there is more behind this page.")
    has_previous_page: bool = strawberry.field(description="Whether there is more before this page.")
    start_cursor: str | None = strawberry.field(description="The first edge's cursor; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="The last edge's cursor; null on an empty page.")


@strawberry.type(description="A payment and its place in the list.")
class PaymentEdge:
    cursor: str = strawberry.field(description="Opaque; give it as `after` or `before`.")
    node: Payment = strawberry.field(description="The payment.")


@strawberry.type(description="A page of payments, newest first.")
class PaymentConnection:
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    edges: list[PaymentEdge] = strawberry.field(description="The page.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends.")

    @strawberry.field(description="The same page without the cursors.")
    def nodes(self) -> list[Payment]:
        return [edge.node for edge in self.edges]

    @strawberry.field(description="How many payments match in all. Counted only when asked for, and slow on millions.")
    async def total_count(self) -> int:
        return await self.count()
