"""Seats: never too many, company first, and nobody waits for ever, whatever the others do."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.bulk.seats import Seats
from tests.storage.virtual_time import run_virtually


@dataclass
class Guests:
    """Who waits and who sits, as seen from outside; guests are numbered as they come."""

    seats: Seats
    tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    companies: dict[int, str] = field(default_factory=dict)
    doors: dict[int, asyncio.Event] = field(default_factory=dict)
    seated: list[int] = field(default_factory=list)
    history: list[int] = field(default_factory=list)

    async def comes(self, company: str) -> int:
        number = len(self.companies)
        self.companies[number] = company
        self.doors[number] = asyncio.Event()
        self.tasks[number] = asyncio.create_task(self._visit(number))
        await settled()
        return number

    async def leaves(self, number: int) -> None:
        self.doors[number].set()
        await settled()

    async def is_cancelled(self, number: int) -> None:
        self.tasks[number].cancel()
        await settled()

    @property
    def waiting(self) -> list[int]:
        """The oldest first."""
        return [n for n, task in self.tasks.items() if not task.done() and n not in self.seated]

    async def _visit(self, number: int) -> None:
        async with self.seats.taken(self.companies[number]):
            self.seated.append(number)
            self.history.append(number)
            try:
                await self.doors[number].wait()
            finally:
                self.seated.remove(number)

    async def all_leave(self) -> None:
        while self.seated:
            await self.leaves(self.seated[0])


async def settled() -> None:
    """Let everybody go as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("comes"), st.sampled_from("AABC")),
        st.tuples(st.just("leaves"), st.integers(0, 99)),
        st.tuples(st.just("is_cancelled"), st.integers(0, 99)),
        # In one turn of the loop, in this order.
        st.tuples(st.just("both"), st.tuples(st.integers(0, 99), st.integers(0, 99))),
    ),
    max_size=60,
)


@given(number=st.integers(1, 4), script=steps)
def test_seats_are_neither_shared_nor_lost(number: int, script: list[tuple[str, object]]) -> None:
    async def played() -> None:
        guests = Guests(Seats(number))
        for step in script:
            await play(guests, step)
            here = len(guests.seated) + len(guests.waiting)
            assert len(guests.seated) == min(number, here)
        await guests.all_leave()
        assert guests.waiting == []
        # All seats are free again.
        for n in range(number + 1):
            await guests.comes("A")
            assert len(guests.seated) == min(n + 1, number)
        await guests.all_leave()

    run_virtually(played())


async def play(guests: Guests, step: tuple[str, object]) -> None:
    match step:
        case "comes", str(company):
            await guests.comes(company)
        case "leaves", int(choice) if guests.seated:
            await guests.leaves(guests.seated[choice % len(guests.seated)])
        case "is_cancelled", int(choice) if guests.seated or guests.waiting:
            those = guests.waiting or guests.seated
            await guests.is_cancelled(those[choice % len(those)])
        case "both", (int(one), int(other)) if guests.seated and guests.waiting:
            # The seat may be given to the very guest who is cancelled: before, or after.
            leaver = guests.seated[one % len(guests.seated)]
            giver_up = guests.waiting[other % len(guests.waiting)]
            if one % 2:
                guests.tasks[giver_up].cancel()
            guests.doors[leaver].set()
            guests.tasks[giver_up].cancel()
            await settled()


@settings(max_examples=50)
@given(number=st.integers(1, 3), crowd=st.lists(st.sampled_from("AB"), max_size=8), data=st.data())
def test_nobody_is_passed_over_for_ever(number: int, crowd: list[str], data: st.DataObject) -> None:
    """Company of those who sit keeps coming, as long as it takes."""

    async def played() -> None:
        guests = Guests(Seats(number))
        for company in ["A"] * number + crowd:
            await guests.comes(company)
        stranger = await guests.comes("stranger")
        older = len(guests.waiting) - 1
        most_called = (older + 1) * (4 * number + 1)
        for _ in range(most_called):
            if stranger in guests.seated:
                break
            await guests.comes("A")
            await guests.leaves(data.draw(st.sampled_from(sorted(guests.seated))))
        assert stranger in guests.seated
        for number_ in [*guests.tasks]:
            guests.doors[number_].set()
        await settled()

    run_virtually(played())


async def test_a_free_seat_goes_to_company() -> None:
    guests = Guests(Seats(2))
    a, b = await guests.comes("A"), await guests.comes("A")
    other, company = await guests.comes("B"), await guests.comes("A")
    await guests.leaves(a)
    assert guests.seated == [b, company]
    await guests.leaves(company)  # nobody is company any more
    assert guests.seated == [b, other]
    await guests.all_leave()


async def test_among_several_companies_the_larger_one_grows() -> None:
    guests = Guests(Seats(4))
    for company in "ABBC":
        await guests.comes(company)
    stranger, a, b = [await guests.comes(company) for company in "DAB"]
    await guests.leaves(3)
    assert guests.seated == [0, 1, 2, b]
    await guests.leaves(b)
    assert guests.seated == [0, 1, 2, a]  # no B waits, and A sits
    await guests.leaves(a)
    assert guests.seated == [0, 1, 2, stranger]
    await guests.all_leave()


async def test_a_mixed_crowd_sits_in_few_changes() -> None:
    """By age alone, rows that alternate between two sizes would change with every seat."""
    guests = Guests(Seats(4))
    for turn in range(40):
        await guests.comes("AB"[turn % 2])
    while guests.waiting:
        await guests.leaves(guests.seated[0])
    await guests.all_leave()
    companies = [guests.companies[n] for n in guests.history]
    assert Counter(companies) == {"A": 20, "B": 20}
    changes = sum(one != other for one, other in pairwise(companies))
    assert changes < 10


async def test_who_is_cancelled_as_the_seat_is_given_hands_it_on() -> None:
    guests = Guests(Seats(1))
    sits, cancelled, waits = [await guests.comes("A") for _ in range(3)]
    guests.doors[sits].set()
    await asyncio.sleep(0)  # the seat is given, and nobody has sat down
    guests.tasks[cancelled].cancel()
    await settled()
    assert guests.seated == [waits]
    await guests.all_leave()


async def test_who_is_cancelled_just_before_gets_no_seat() -> None:
    guests = Guests(Seats(1))
    sits, cancelled, waits = [await guests.comes("A") for _ in range(3)]
    guests.doors[sits].set()
    guests.tasks[cancelled].cancel()
    await settled()
    assert guests.seated == [waits]
    assert not guests.tasks[sits].cancelled()
    assert guests.tasks[sits].exception() is None
    await guests.all_leave()


async def test_a_seat_is_given_back_when_the_body_fails() -> None:
    seats = Seats(1)
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            async with seats.taken("A"):
                raise ValueError("broken")
    async with seats.taken("A"):
        pass


@pytest.mark.parametrize("number", [1, 2, 5])
async def test_who_is_alone_has_all_seats_and_comes_before_others(number: int) -> None:
    seats = Seats(number)
    guests = Guests(seats)
    met: list[int] = []

    async def alone() -> None:
        async with seats.alone():
            met.append(len(guests.seated))

    for _ in range(number):
        await guests.comes("a")
    once = asyncio.create_task(alone())
    await settled()
    await guests.comes("a")  # and comes after it, though it is company
    for guest in list(guests.seated):
        await guests.leaves(guest)
    await once
    assert met == [0]
    await settled()
    assert guests.seated == [number]
    await guests.all_leave()


async def test_who_can_not_be_alone_any_more_leaves_all_seats() -> None:
    guests = Guests(Seats(2))
    first = await guests.comes("a")

    async def alone() -> None:
        async with guests.seats.alone():
            raise AssertionError

    task = asyncio.create_task(alone())
    await settled()
    task.cancel()
    await settled()
    await guests.comes("b")
    assert len(guests.seated) == 2
    await guests.leaves(first)
    await guests.all_leave()
