"""What one replica of each part can feed, and so how many of them a cluster needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from benchmarks.nodes import CONFIG
from benchmarks.scale.costs import Front
from benchmarks.scale.h200 import png_s
from benchmarks.scale.runs import AGAIN, REPEATS, requests_per_s
from benchmarks.scale.service import Shape
from serve_app.config import ServiceConfig
from serve_app.serve_config import service_settings

BUSY = 0.6
"""How busy a part should be at most at full load: above it its queue is felt."""
LEAST = 2
"""Replicas of a part: one may die."""

NETWORK_BYTES_S = 25e9 / 8
"""Of a node, each way: an assumption."""
RESULT_BYTES = 2 * 2**20
"""Of a result of 1024x1024 as PNG, about: an assumption."""
_PIXEL_BYTES = 3 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Costs:
    """What a request costs each part, core seconds, by ``benchmarks.scale --parts measure``."""

    front: Front
    choice_s: Mapping[int, float]
    controller_cores: float
    """Of the controller for each replica that there is."""

    @classmethod
    def of(cls, measured: Mapping[str, Any]) -> Costs:
        """From the results of the part ``measure``."""
        edit, near = (
            {part: ms / 1e3 for part, ms in measured["cpu_ms"][what].items()}
            for what in ("edit", "near_hit")
        )
        front = Front(
            proxy_s=edit["proxy"],
            ingress_s=edit["ingress"],
            # Of the PNG, the time that the real model's pictures take, which are less smooth.
            router_s=max(0.0, edit["router"] - measured["png_cpu_ms"] / 1e3),
            png_s=png_s(),
            cache_s=edit["cache"],
            validator_s=edit["validator"],
            near_s=near["ingress"],
            near_proxy_s=near["proxy"],
        )
        choice_s = {int(number): ms / 1e3 for number, ms in measured["choice_ms"].items()}
        controller = measured["idle_cores"]["controller"] / measured["replicas"]
        return cls(front, choice_s, controller)

    def with_editors(self, editors: int) -> Front:
        """The front where a router chooses among so many editors."""
        number = min(self.choice_s, key=lambda known: abs(known - editors))
        return replace(self.front, router_s=self.front.router_s + self.choice_s[number])


def _seconds(front: Front) -> dict[str, float]:
    """Core seconds of a part for a request, the repeated among them."""
    edited = 1 - REPEATS
    return {
        "proxies": front.proxy_s,
        "ingresses": front.ingress_s,
        "routers": front.router_s + edited * front.png_s,
        "cache shards": front.cache_s,
        "validators": edited * (1 + AGAIN) * front.validator_s,
    }


def gpus_per_replica(costs: Costs, mix: str, busy: float) -> dict[str, float]:
    """How many GPUs at full load one replica of a part can feed, itself ``busy``."""
    rate = requests_per_s(1, mix, 1.0)
    front = costs.with_editors(64)
    return {part: busy / (seconds * rate) for part, seconds in _seconds(front).items()}


def recommended(costs: Costs, gpus: int, mix: str) -> Shape:
    """Replicas enough for a mix, and no more."""
    rate = requests_per_s(gpus, mix, 1.0)
    seconds = _seconds(costs.with_editors(gpus))
    number = {part: max(LEAST, math.ceil(rate * each / BUSY)) for part, each in seconds.items()}
    return _shape(gpus, number)


def configured(gpus: int) -> Shape:
    """The front of configs/cluster.yaml as it stands, whatever the number of GPUs."""
    sizes = config().deployments
    return _shape(
        gpus,
        {
            "proxies": sizes.ingress.max,  # one on each node of the front
            "ingresses": sizes.ingress.max,
            "routers": sizes.router.max,
            "cache shards": sizes.cache.max,
            "validators": sizes.validator.max,
        },
    )


def first_full(costs: Costs, mix: str) -> dict[str, float]:
    """With the front of configs/cluster.yaml: from how many GPUs on each part is full."""
    shape = configured(1)
    number = {
        "proxies": shape.proxies,
        "ingresses": shape.ingresses,
        "routers": shape.routers,
        "cache shards": shape.shards,
        "validators": shape.validators,
    }
    fed = gpus_per_replica(costs, mix, 1.0)
    full = {part: fed[part] * many for part, many in number.items()}
    return dict(sorted(full.items(), key=lambda each: each[1]))


def _shape(gpus: int, number: Mapping[str, int]) -> Shape:
    settings = config()
    sizes = settings.deployments
    return Shape(
        gpus,
        proxies=number["proxies"],
        ingresses=number["ingresses"],
        routers=number["routers"],
        shards=number["cache shards"],
        validators=number["validators"],
        most_inside=number["ingresses"] * sizes.ingress.max_ongoing_requests
        + number["proxies"] * sizes.ingress.max_queued_requests,
        near_results=settings.cache.near_bytes // RESULT_BYTES,
        near_s=settings.cache.near_s,
        engine=settings.engine,
    )


@cache
def config() -> ServiceConfig:
    """The settings of configs/cluster.yaml."""
    return service_settings(CONFIG)


def replicas(shape: Shape) -> int:
    """Of all parts."""
    parts = ("editors", "proxies", "ingresses", "routers", "shards", "validators")
    return sum(getattr(shape, part) for part in parts)


def router_bytes() -> int:
    """What a router sends for an edit: pixels to the editor, two pictures to the validator, and
    the PNG to store, cache and ingress."""
    return 3 * _PIXEL_BYTES + 3 * RESULT_BYTES


def gpus_per_network(mix: str) -> float:
    """How many GPUs the routers of one node can serve before its network is full."""
    edits_per_s = requests_per_s(1, mix, 1.0) * (1 - REPEATS) * (1 + AGAIN)
    return NETWORK_BYTES_S / (router_bytes() * edits_per_s)
