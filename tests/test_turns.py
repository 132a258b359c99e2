"""Whose turn it is, as arithmetic: a device that takes one unit of time for each job."""

import random
from statistics import mean

import pytest

from pipeline.queue.turns import Ticket, Turns

Arrival = tuple[float, str]
TEN = [f"visitor {number}" for number in range(10)]


def waits(arrivals: list[Arrival], patience: int = 80) -> dict[str, list[float]]:
    """Let jobs come at their times, one of which begins as soon as it can; return how long those of each waited."""
    turns, now, free, waiting, came = Turns(patience), 0.0, 0.0, list[Ticket](), dict[str, float]()
    waited: dict[str, list[float]] = {}

    def begin_one() -> None:
        nonlocal turns, free
        ticket = turns.next_of(waiting)
        waiting.remove(ticket)
        turns = turns.after(ticket)
        waited.setdefault(ticket.owner, []).append(free - came[ticket.id])
        free += 1

    for number, (now, owner) in enumerate(arrivals):
        while waiting and free <= now:
            begin_one()
        ticket = Ticket(str(number), owner, number, turns.begun)
        waiting.append(ticket)
        came[ticket.id], free = now, max(free, now)
    while waiting:
        begin_one()
    return waited


def ratio(arrivals: list[Arrival]) -> float:
    means = [mean(each) for each in waits(arrivals).values()]
    return max(means) / min(means)


@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0])
def test_visitors_who_come_together_wait_about_equally_long(spread: float) -> None:
    jobs = [owner for owner in TEN for _ in range(4)]
    assert ratio([(0.0, owner) for owner in jobs]) < 1.5
    assert ratio([(0.0, owner) for _ in range(4) for owner in TEN]) < 1.5
    for seed in range(30):
        dice = random.Random(seed)
        times = sorted(dice.random() * spread for _ in jobs)
        assert ratio(list(zip(times, dice.sample(jobs, len(jobs)), strict=True))) < 2


def test_who_was_last_in_one_round_is_first_in_the_next() -> None:
    tickets = [
        Ticket(f"{owner}{nth}", owner, number, 0)
        for number, (owner, nth) in enumerate([("a", 1), ("a", 2), ("b", 1), ("c", 1), ("b", 2), ("c", 2)])
    ]
    assert [ticket.id for ticket in Turns(80).order(tickets)] == ["a1", "b1", "c1", "c2", "b2", "a2"]


def test_one_job_does_not_wait_for_the_many_of_another() -> None:
    assert waits([(0.0, "many")] * 20 + [(0.5, "one")])["one"] == [0.5]
    often = waits([(0.0, "many")] * 20 + [(5.5, "one"), (7.5, "one"), (9.5, "one")])["one"]
    assert max(often) <= 2


def test_nobody_is_overtaken_without_end() -> None:
    newcomers = [(float(second), f"new {second}") for second in range(1, 200)]
    own = waits([(0.0, "early")] * 3 + newcomers, patience=20)["early"]
    assert max(own) <= 22


def test_the_order_that_is_shown_is_the_order_that_comes() -> None:
    dice = random.Random(5)
    turns = Turns(80)
    tickets = [Ticket(str(number), dice.choice(TEN), number, 0) for number in range(40)]
    foreseen = turns.order(tickets)
    for expected in foreseen:
        ticket = turns.next_of(tickets)
        assert ticket == expected
        tickets.remove(ticket)
        turns = Turns(**turns.after(ticket).to_json())
