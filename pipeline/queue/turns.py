"""Whose turn it is: fair turns between visitors, so that many jobs of one do not hold up the one of another."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Ticket:
    """A job that waits: whose it is, and how many jobs had begun when it came; those of one visitor keep their order.

    `number` rises from job to job.
    """

    id: str
    owner: str
    number: int
    came: int


@dataclass(frozen=True)
class Turns:
    """What the order of those who wait depends on; waits are counted in jobs that began meanwhile.

    The jobs of a visitor are in rounds, one in each. The one of the lowest round is next; in the same round, it is the
    one whose visitor has waited longest in all, so that who was last in one round is first in the following. Who is
    new, or comes again, starts in the `round` that is under way. Nobody is overtaken without end: who has waited for
    `patience` jobs is next. `rounds` and `waits` are by visitor.
    """

    patience: int
    begun: int = 0
    round: int = 0
    rounds: dict[str, int] = field(default_factory=dict)
    waits: dict[str, int] = field(default_factory=dict)

    def next_of(self, waiting: Sequence[Ticket]) -> Ticket:
        """Return the one whose turn it is."""
        first: dict[str, Ticket] = {}
        for ticket in sorted(waiting, key=lambda ticket: ticket.number):
            first.setdefault(ticket.owner, ticket)
        return min(first.values(), key=self._rank)

    def after(self, ticket: Ticket) -> "Turns":
        """Return how things stand once a job has begun."""
        own = self._round_of(ticket.owner)
        rounds = self.rounds | {ticket.owner: own + 1}
        # Who is behind the round that is under way starts in it anyhow, as if never seen.
        rounds = {owner: reached for owner, reached in rounds.items() if reached > self.round}
        waits = self.waits | {ticket.owner: self._waited(ticket)}
        waits = {owner: waited for owner, waited in waits.items() if owner in rounds}
        return replace(self, begun=self.begun + 1, round=max(own, self.round), rounds=rounds, waits=waits)

    def order(self, waiting: Iterable[Ticket]) -> list[Ticket]:
        """Return all that wait in the order in which they begin, unless somebody comes or goes."""
        left, turns, ordered = list(waiting), self, list[Ticket]()
        while left:
            ticket = turns.next_of(left)
            left.remove(ticket)
            ordered.append(ticket)
            turns = turns.after(ticket)
        return ordered

    def to_json(self) -> dict[str, Any]:
        """Return it as values that json can write."""
        return asdict(self)

    def _rank(self, ticket: Ticket) -> tuple[bool, int, int, int]:
        in_time = self.begun - ticket.came < self.patience
        fair = (self._round_of(ticket.owner), -self._waited(ticket)) if in_time else (0, 0)
        return (in_time, *fair, ticket.number)

    def _round_of(self, owner: str) -> int:
        return max(self.rounds.get(owner, 0), self.round)

    def _waited(self, ticket: Ticket) -> int:
        return self.waits.get(ticket.owner, 0) + self.begun - ticket.came
