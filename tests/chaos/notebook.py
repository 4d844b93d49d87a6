"""What the clients were told: every acknowledged payment, in memory and in a file, and everything that no client should ever see."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.payment import TRANSITIONS, PaymentState

MAX_SURPRISES = 200  # of one run; who has seen as many needs no more


@dataclass(slots=True)
class Acknowledged:
    """A payment that a client was told of, and the furthest state that it was told."""

    partner: int
    order_id: str
    state: PaymentState


@dataclass
class Notebook:
    """The clients' side of a run. The file has a line for each step of each payment, written before the client goes on."""

    file: Path
    counts: Counter[str] = field(default_factory=Counter)
    payments: dict[str, Acknowledged] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)
    latest_s: float = 0.0  # how late an order began at the latest: the load is as open as this is small

    def acknowledge(self, partner: int, payment: dict[str, Any]) -> None:
        """A client got this receipt."""
        state, order_id = PaymentState(payment["state"]), payment["orderId"]
        known = self.payments.get(payment["id"])
        if known is None:
            known = self.payments[payment["id"]] = Acknowledged(partner, order_id, state)
        elif leads_to(state, known.state):
            return  # the same, or a replay of an earlier answer
        elif not leads_to(known.state, state):
            self.surprise(f"{order_id}: {known.state} became {state}")
            return
        known.state = state
        with self.file.open("a") as file:
            file.write(f"{payment['id']} {state}\n")

    def surprise(self, sentence: str) -> None:
        """Something that no client should ever see."""
        self.counts["surprises"] += 1
        if len(self.surprises) < MAX_SURPRISES:
            self.surprises.append(sentence)

    def by_state(self) -> Counter[str]:
        """How many payments were acknowledged, by the furthest state."""
        return Counter(each.state.value for each in self.payments.values())


def leads_to(earlier: PaymentState, later: PaymentState) -> bool:
    """Whether a payment can come from one state into the other, or is there already."""
    return earlier is later or any(leads_to(each, later) for each in TRANSITIONS[earlier])
