"""Whether anything was edited: about half of the failures of editing models are copies.

The thresholds (``QualityConfig.no_op_*``) were set on good local edits against copies that
were re-encoded, slightly blurred or one shade off; all three have to be missed, so that a
small but strong edit, a weak but wide one and a pure change of colour each count.
"""

from __future__ import annotations

from serve_app.quality.change import change_map
from serve_app.quality.measurement import Measurement
from serve_app.quality.subject import Subject


def no_op(subject: Subject) -> Measurement:
    """The largest of area, strength and cast of the change, as a multiple of its threshold.

    1 is the least change that counts as an edit. Drift is none: a copy that was shifted is a
    copy. Only what a mask frees counts, if there is one: beside a whole picture, a small edit
    that was asked for would look like a copy.
    """
    config = subject.config
    change = subject.change if subject.focus is None else change_map(*subject.focus)
    most = max(
        # A threshold of 0 asks for any change at all.
        change.area / max(config.no_op_area, 1e-9),
        change.strength / config.no_op_delta_e,
        change.cast / config.no_op_cast,
    )
    evidence = {
        "changed_area": change.area,
        "delta_e_p99_9": change.strength,
        "cast_delta_e": change.cast,
    }
    return Measurement(most, evidence)
