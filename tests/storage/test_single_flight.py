"""Single flight: one leader per key, whatever happens to leaders and followers."""

import asyncio
import random

import pytest

from serve_app.storage.single_flight import Lease, SingleFlight

from .virtual_time import virtual

LEASE_S = 15.0


async def lead(flights: SingleFlight[str], key: str = "k") -> Lease:
    lease = await flights.acquire(key)
    assert isinstance(lease, Lease)
    return lease


async def join(flights: SingleFlight[str], key: str = "k") -> "asyncio.Task[Lease | str]":
    task = asyncio.create_task(flights.acquire(key))
    await asyncio.sleep(0)
    assert not task.done()
    return task


@virtual
async def test_followers_get_the_leaders_answer() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    lease = await lead(flights)
    followers = [await join(flights) for _ in range(3)]
    flights.complete(lease, "answer")
    assert await asyncio.gather(*followers) == ["answer"] * 3
    assert len(flights) == 0
    assert (flights.leads, flights.joins, flights.handovers) == (1, 3, 0)


@virtual
async def test_keys_are_independent() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    first, second = await lead(flights, "a"), await lead(flights, "b")
    assert first != second
    follower = await join(flights, "b")
    flights.complete(first, "a")
    await asyncio.sleep(1)
    assert not follower.done()
    flights.complete(second, "b")
    assert await follower == "b"


@virtual
async def test_hundred_identical_callers_are_one_edit() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    runs = 0

    async def caller() -> str:
        nonlocal runs
        held = await flights.acquire("k")
        if isinstance(held, Lease):
            runs += 1
            await asyncio.sleep(10)
            flights.complete(held, "answer")
            return "answer"
        return held

    assert await asyncio.gather(*(caller() for _ in range(100))) == ["answer"] * 100
    assert runs == 1


@virtual
async def test_abandoning_promotes_exactly_the_oldest_follower() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    lease = await lead(flights)
    oldest, middle, youngest = [await join(flights) for _ in range(3)]
    flights.abandon(lease)
    flights.abandon(lease)  # a lease is given up once
    promoted = await oldest
    assert isinstance(promoted, Lease)
    assert promoted != lease
    await asyncio.sleep(1)
    assert not middle.done()
    assert not youngest.done()
    flights.complete(promoted, "answer")
    assert await middle == await youngest == "answer"
    assert flights.handovers == 1


@virtual
async def test_abandoning_alone_forgets_the_key() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    flights.abandon(await lead(flights))
    assert len(flights) == 0
    await lead(flights)
    assert flights.leads == 2


@virtual
async def test_cancelled_follower_leaves_without_a_trace() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    lease = await lead(flights)
    leaving, staying = await join(flights), await join(flights)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert flights.waiting == 1
    flights.complete(lease, "answer")
    assert await staying == "answer"


@virtual
async def test_follower_cancelled_just_before_the_handover_is_skipped() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    lease = await lead(flights)
    leaving, staying = await join(flights), await join(flights)
    leaving.cancel()  # not yet awake
    flights.abandon(lease)
    assert isinstance(await staying, Lease)
    assert leaving.cancelled()


@virtual
async def test_follower_cancelled_just_after_the_handover_passes_it_on() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    lease = await lead(flights)
    leaving, staying = await join(flights), await join(flights)
    flights.abandon(lease)
    leaving.cancel()  # promoted, and not yet awake
    assert isinstance(await staying, Lease)
    assert asyncio.get_running_loop().time() == 0, "handed over only when the lease ended"
    assert leaving.cancelled()


@virtual
async def test_last_follower_cancelled_just_after_the_handover_forgets_the_key() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    lease = await lead(flights)
    leaving = await join(flights)
    flights.abandon(lease)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert len(flights) == 0


@virtual
async def test_silent_leader_is_replaced_when_its_lease_ends() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    loop = asyncio.get_running_loop()
    stale = await lead(flights)
    follower = await join(flights)
    promoted = await follower
    assert loop.time() == pytest.approx(LEASE_S)
    assert isinstance(promoted, Lease)
    assert not flights.renew(stale)
    flights.abandon(stale)
    assert flights.renew(promoted)


@virtual
async def test_silent_leader_alone_is_forgotten() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    stale = await lead(flights)
    await asyncio.sleep(LEASE_S + 1)
    assert len(flights) == 0
    assert not flights.renew(stale)
    flights.complete(stale, "late")
    flights.abandon(stale)
    assert len(flights) == 0


@virtual
async def test_renewed_lease_lasts() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    lease = await lead(flights)
    follower = await join(flights)
    for _ in range(100):
        await asyncio.sleep(LEASE_S * 0.9)
        assert flights.renew(lease)
    assert not follower.done()
    flights.complete(lease, "answer")
    assert await follower == "answer"


@virtual
async def test_late_answer_of_a_replaced_leader_is_used_and_the_new_one_stays() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    stale = await lead(flights)
    first, second = await join(flights), await join(flights)
    promoted = await first
    assert isinstance(promoted, Lease)
    flights.complete(stale, "late but good")
    assert await second == "late but good"
    assert flights.renew(promoted)
    third = await join(flights)
    flights.complete(promoted, "answer")
    assert await third == "answer"
    assert len(flights) == 0


@virtual
async def test_lease_from_before_a_restart_fits_nothing() -> None:
    before: SingleFlight[str] = SingleFlight(LEASE_S)
    after: SingleFlight[str] = SingleFlight(LEASE_S)
    old, new = await lead(before), await lead(after)
    assert not after.renew(old)
    after.abandon(old)
    assert after.renew(new)


@virtual
async def test_lease_is_compared_by_value() -> None:
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    lease = await lead(flights)
    assert flights.renew(Lease(lease.key, lease.token))  # it comes back from another process


@pytest.mark.parametrize("seed", range(150))
@virtual
async def test_any_schedule_answers_everybody_and_leaves_nothing(seed: int) -> None:
    """Callers, failures, silences, cancellations in random order, in virtual time."""
    rng = random.Random(seed)
    flights: SingleFlight[str] = SingleFlight(LEASE_S)
    honest: dict[str, int] = {}  # leaders at work per key that renew in time

    async def caller(key: str) -> str:
        await asyncio.sleep(rng.choice([0, 0, 1, rng.uniform(0, 60)]))
        while True:
            held = await flights.acquire(key)
            if not isinstance(held, Lease):
                return held
            behaviour = rng.choice(["answer", "answer", "fail", "silent", "late"])
            if behaviour == "silent":  # its process died
                return "dead"
            if behaviour == "late":  # too slow to renew
                await asyncio.sleep(LEASE_S * rng.uniform(1, 3))
                flights.complete(held, key)
                return key
            honest[key] = honest.get(key, 0) + 1
            assert honest[key] == 1, "two leaders at once"
            try:
                for _ in range(rng.randrange(4)):
                    await asyncio.sleep(rng.choice([0, 1, LEASE_S * 0.9]))
                    assert flights.renew(held)
                if behaviour == "answer":
                    flights.complete(held, key)
                    return key
            finally:
                honest[key] -= 1
                flights.abandon(held)  # nothing after an answer
            if rng.random() < 0.5:
                return "failed"

    async def canceller(tasks: list["asyncio.Task[str]"]) -> None:
        for _ in range(rng.randrange(20)):
            await asyncio.sleep(rng.choice([0, 0, 1, rng.uniform(0, 10)]))
            rng.choice(tasks).cancel()

    keys = [f"key-{i}" for i in range(rng.randint(1, 3))]
    callers = [(key, asyncio.create_task(caller(key))) for key in rng.choices(keys, k=40)]
    tasks = [task for _, task in callers]
    await canceller(tasks)
    await asyncio.wait(tasks)
    for key, task in callers:
        assert task.cancelled() or task.result() in (key, "dead", "failed")
    assert flights.waiting == 0
    await asyncio.sleep(LEASE_S + 1)  # the leases of the dead end
    assert len(flights) == 0
