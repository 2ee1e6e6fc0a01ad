"""Which targets share an edit: those of nearly the same shape.

Editing is what costs; cropping an edit to a size costs next to nothing, but throws away what the
shapes differ by. So targets are grouped by aspect, and each group is edited once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from serve_app.workflows.brand_sets.plan import TargetFormat


def grouped(targets: Sequence[TargetFormat], factor: float) -> tuple[tuple[int, ...], ...]:
    """Indices of ``targets`` in groups whose widest aspect is at most ``factor`` x the narrowest.

    Groups go from the narrowest to the widest. The first index of each is its canvas: the target
    whose aspect is nearest to the middle of the group, and of equal ones the largest, so that the
    others lose little.
    """
    order = sorted(range(len(targets)), key=lambda index: (targets[index].aspect, index))
    groups: list[list[int]] = []
    for index in order:
        if groups and targets[index].aspect <= factor * targets[groups[-1][0]].aspect:
            groups[-1].append(index)
        else:
            groups.append([index])
    return tuple(_canvas_first(targets, group) for group in groups)


def _canvas_first(targets: Sequence[TargetFormat], group: Sequence[int]) -> tuple[int, ...]:
    # Cropping is symmetric in the logarithm: twice as wide is as far as half as wide.
    aspects = [math.log(targets[index].aspect) for index in group]
    middle = (aspects[0] + aspects[-1]) / 2

    def distance(index: int) -> tuple[float, int]:
        target = targets[index]
        return abs(math.log(target.aspect) - middle), -target.width * target.height

    canvas = min(group, key=distance)
    return canvas, *(index for index in group if index != canvas)
