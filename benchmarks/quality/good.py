"""All kinds of good edits, over the four edit types."""

from __future__ import annotations

from benchmarks.quality import appearance, mixed, styles, texts
from benchmarks.quality.edit import Kind

GOOD: tuple[Kind, ...] = (*appearance.KINDS, *texts.KINDS, *styles.KINDS, *mixed.KINDS)

BY_NAME: dict[str, Kind] = {kind.name: kind for kind in GOOD}
