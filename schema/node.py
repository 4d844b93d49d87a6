"""What has an id."""

import strawberry


@strawberry.interface(name="Node", description="Anything with an id of its own, which `node(id:)` finds again.")
class Node:
    """An id says what it names: `pay_…`, `key_…`, `ptn_…`, `rec_…`, `aud_…`. Treat the rest of it as opaque."""

    id: strawberry.ID = strawberry.field(description="Opaque, unique, and for ever the same.")
