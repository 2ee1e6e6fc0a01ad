"""The graph in simulated time: the way of an edit, from the client and back."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import simpy
from cachetools import TTLCache

from benchmarks.scale.affinity import Affinity, Ring
from benchmarks.scale.cores import Cores
from benchmarks.scale.costs import Device, Front
from benchmarks.scale.editors import Editor, EditorFull, EditorLost
from benchmarks.scale.parts import Part, Process, Replica
from benchmarks.scale.requests import Answer, Request
from serve_app.config import EngineConfig


@dataclass(frozen=True, slots=True)
class Shape:
    """How many replicas of each part there are, and what they keep.

    ``spare_editors`` are those that an autoscaler may start. Of more than ``most_inside`` requests
    at once the rest is refused. Each ingress keeps ``near_results``
    results for ``near_s`` seconds.
    """

    editors: int
    spare_editors: int = 0
    proxies: int = 1
    ingresses: int = 1
    routers: int = 1
    shards: int = 1
    validators: int = 1
    most_inside: int = 1_000_000
    near_results: int = 32
    near_s: float = 60.0
    engine: EngineConfig = field(default_factory=EngineConfig)


class Service:
    """Answers requests as the service does, as far as time goes.

    On one ``machine`` all replicas and devices share its cores; without it each has its own.
    ``again`` is the share of edits that fail validation and are edited once more. Editors know
    what all their steps cost, or ``learn`` it from those they make after warming up.
    """

    def __init__(
        self,
        env: simpy.Environment,
        shape: Shape,
        front: Front,
        device: Device,
        machine: Cores | None = None,
        *,
        seed: int = 0,
        again: float = 0.0,
        learn: bool = False,
    ) -> None:
        self._env = env
        self._shape = shape
        self._front = front
        self._machine = machine
        self._again = again
        self._draw = draw = random.Random(seed)

        def cores() -> Cores:
            return machine or Cores(env)

        number = shape.editors + shape.spare_editors
        most = shape.engine.max_batch_size
        # Warming up makes one edit, and as many as share a step, both without and with guidance.
        known = device.learned({1, 2, most, 2 * most} if learn else range(1, 2 * most + 1))
        self.editors = [
            Editor(env, name, cores(), device, shape.engine, known, learns=learn)
            for name in range(number)
        ]
        for editor in self.editors[: shape.editors]:
            editor.start()
        ring = Ring(self.editors)
        self._affinities = [Affinity(ring) for _ in range(shape.routers)]
        self._client = Part.of(env, 1, cores, draw)
        self.proxies = Part.of(env, shape.proxies, cores, draw)
        self.ingresses = Part.of(env, shape.ingresses, cores, draw)
        self.routers = Part.of(env, shape.routers, cores, draw)
        self.shards = Part.of(env, shape.shards, cores, draw)
        self.validators = Part.of(env, shape.validators, cores, draw)
        self._near = [
            TTLCache(shape.near_results, shape.near_s, timer=lambda: env.now)
            for _ in range(shape.ingresses)
        ]
        self._kept: set[int] = set()
        self._flights: dict[int, simpy.Event] = {}
        self.edited: list[int] = []
        """The keys that were edited, once for each attempt that an editor finished."""
        self.sent_elsewhere = 0
        self._inside = 0

    @property
    def parts(self) -> dict[str, Part]:
        """The deployments in front of and beside the editors, by name."""
        return {
            "proxies": self.proxies,
            "ingresses": self.ingresses,
            "routers": self.routers,
            "cache shards": self.shards,
            "validators": self.validators,
        }

    @property
    def taking(self) -> int:
        """How many editors take edits."""
        return sum(editor.alive and not editor.draining for editor in self.editors)

    def open_loop(self, requests: Iterable[Request]) -> Process:
        """Send each request at its time, whatever became of the others."""
        for request in requests:
            # Rounding must not make it negative for one that comes at the same moment.
            yield self._env.timeout(max(0.0, request.at - self._env.now))
            self._env.process(self.answer(request))

    def closed_loop(self, requests: Iterable[Request]) -> Process:
        """Send one request after the other, as one client does."""
        for request in requests:
            request.at = self._env.now
            yield self._env.process(self.answer(request))

    def answer(self, request: Request) -> Process:
        """Take ``request`` all the way; notes what became of it in the request."""
        if self._inside < self._shape.most_inside:
            self._inside += 1
            request.answer = yield from self._way(request)
            self._inside -= 1
        else:
            request.answer = Answer.REFUSED
        request.ended = self._env.now

    def _way(self, request: Request) -> Process:
        """From the client to the ingress, further where that has no answer, and back."""
        front, client = self._front, self._client.any()
        proxy, ingress = self.proxies.any(), self.ingresses.any()
        near = self._near[ingress.number]
        yield from client.work(front.client_s / 2)
        if request.key in near:
            yield from proxy.work(front.near_proxy_s)
            yield from ingress.work(front.near_s)
            answer = Answer.NEAR
        else:
            yield from proxy.work(front.proxy_s / 2)
            yield from ingress.work(front.ingress_s / 2)
            answer = yield from self._route(request)
            if answer.served:
                near[request.key] = True
            if front.beside_s and self._machine:
                self._machine.run(front.beside_s)
            yield from ingress.work(front.ingress_s / 2)
            yield from proxy.work(front.proxy_s / 2)
        yield from client.work(front.client_s / 2)
        return answer

    def _route(self, request: Request) -> Process:
        """At a router: from the cache, from the running twin, or by editing."""
        front, key = self._front, request.key
        router, shard = self.routers.any(), self.shards.owner(key)
        yield from router.work(front.router_s / 2)
        answer = None
        while answer is None:
            yield from shard.work(front.cache_s / 2)
            if key in self._kept:
                answer = Answer.HIT
            elif flight := self._flights.get(key):
                answer = Answer.JOINED if (yield flight) else None
            else:
                answer = yield from self._lead(request, router, shard)
        yield from router.work(front.router_s / 2)
        return answer

    def _lead(self, request: Request, router: Replica, shard: Replica) -> Process:
        """Edit for all who ask for the same meanwhile; where it fails the next one leads."""
        flight = self._flights[request.key] = self._env.event()
        answer = yield from self._edit(request, router)
        if answer.served and self._draw.random() < self._again:
            # The attempt before is kept if this one fails: the answer stays.
            yield from self._edit(request, router)
        if answer.served:
            yield from router.work(self._front.png_s)
            yield from shard.work(self._front.cache_s / 2)
            self._kept.add(request.key)
        del self._flights[request.key]
        flight.succeed(answer.served)
        return answer

    def _edit(self, request: Request, router: Replica) -> Process:
        """An attempt, once more elsewhere if an editor dies over it or is full."""
        affinity, front = self._affinities[router.number], self._front
        answer = Answer.REFUSED
        for elsewhere in (False, True):
            editor = affinity.choose(request.subject, self.taking, elsewhere)
            if editor is None:
                return answer
            self.sent_elsewhere += elsewhere
            affinity.sent(editor)
            try:
                yield editor.submit(request.kind)
            except EditorFull:
                answer = Answer.REFUSED
            except EditorLost:
                answer = Answer.LOST
            else:
                self.edited.append(request.key)
                yield from self.validators.any().work(front.validator_s)
                return Answer.EDITED
            finally:
                affinity.done(editor)
        return answer
