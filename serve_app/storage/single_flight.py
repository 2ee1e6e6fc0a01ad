"""Single flight: identical requests that run at the same time become one.

The first caller of a key leads: it gets a lease and does the work. The others wait for the
leader's answer. A leader that fails, is cancelled or falls silent costs nobody their
answer: exactly one of the waiting callers, the oldest, leads next.

A new leader should look into the cache before it starts: the previous flight may have
ended between its own look and its ``acquire``.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do the work of ``key``; ``token`` tells this leader from any other.

    Tokens are random, so that a lease from before a restart fits nothing after it.
    """

    key: str
    token: str


@dataclass(slots=True, eq=False)
class _Flight(Generic[T]):
    lease: Lease
    expiry: asyncio.TimerHandle
    #: The callers that wait, oldest first; a dict, because any of them may leave.
    waiters: dict[asyncio.Future[Lease | T], None] = field(default_factory=dict)


class SingleFlight(Generic[T]):
    """Coordinates the callers of one event loop; ``T`` is the answer they share.

    A lease lasts ``lease_s`` seconds from ``acquire`` or the last ``renew``. A key is
    remembered only while somebody leads it. Not thread-safe: all methods are called in the
    event loop. ``complete``, ``abandon`` and ``renew`` never wait and never raise.
    """

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._flights: dict[str, _Flight[T]] = {}
        #: Flights that began: keys nobody was leading.
        self.leads = 0
        #: Callers that waited for another's answer.
        self.joins = 0
        #: Times that leadership passed on to a caller that waited.
        self.handovers = 0

    def __len__(self) -> int:
        """How many keys are being worked on."""
        return len(self._flights)

    @property
    def waiting(self) -> int:
        """How many callers wait for a leader's answer."""
        return sum(len(flight.waiters) for flight in self._flights.values())

    async def acquire(self, key: str) -> Lease | T:
        """Lead ``key`` or wait for its leader's answer.

        Returns a lease if the caller has to do the work, at once or after another leader
        gave up; it must then ``complete`` or ``abandon`` it, and ``renew`` it meanwhile.
        Cancelling a waiting caller takes it out of the flight and disturbs nobody.
        """
        flight = self._flights.get(key)
        if flight is None:
            lease = _new_lease(key)
            self._flights[key] = _Flight(lease, self._expire_later(lease))
            self.leads += 1
            return lease
        self.joins += 1
        waiter: asyncio.Future[Lease | T] = asyncio.get_running_loop().create_future()
        flight.waiters[waiter] = None
        try:
            return await waiter
        except asyncio.CancelledError:
            flight.waiters.pop(waiter, None)
            # Promoted and cancelled in one turn of the loop: nobody else will ever learn
            # of this lease, so it goes on to the next.
            if waiter.done() and not waiter.cancelled():
                answer = waiter.result()
                if isinstance(answer, Lease):
                    self.abandon(answer)
            raise

    def complete(self, lease: Lease, answer: T) -> None:
        """Give ``answer`` to everybody who waits for the lease's key.

        With a lease that was taken over, the waiters get this answer too (it is as good as
        any), and the leader of the day stays, for callers that are still to come.
        """
        flight = self._flights.get(lease.key)
        if flight is None:
            return
        if flight.lease == lease:
            self._end(flight)
        waiters, flight.waiters = flight.waiters, {}
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(answer)

    def abandon(self, lease: Lease) -> None:
        """Give up leadership without an answer: the oldest waiting caller leads next.

        Nothing happens if the lease was taken over or has ended.
        """
        flight = self._flights.get(lease.key)
        if flight is None or flight.lease != lease:
            return
        flight.expiry.cancel()
        while flight.waiters:
            waiter = next(iter(flight.waiters))
            del flight.waiters[waiter]
            if waiter.done():  # cancelled, and not yet awake to leave by itself
                continue
            flight.lease = _new_lease(lease.key)
            flight.expiry = self._expire_later(flight.lease)
            self.handovers += 1
            waiter.set_result(flight.lease)
            return
        self._end(flight)

    def renew(self, lease: Lease) -> bool:
        """Say that the leader is alive; ``False`` if it no longer leads."""
        flight = self._flights.get(lease.key)
        if flight is None or flight.lease != lease:
            return False
        flight.expiry.cancel()
        flight.expiry = self._expire_later(lease)
        return True

    def _expire_later(self, lease: Lease) -> asyncio.TimerHandle:
        # A leader that died says nothing: its silence counts as giving up.
        return asyncio.get_running_loop().call_later(self._lease_s, self.abandon, lease)

    def _end(self, flight: _Flight[T]) -> None:
        flight.expiry.cancel()
        del self._flights[flight.lease.key]


def _new_lease(key: str) -> Lease:
    return Lease(key, secrets.token_hex(16))
