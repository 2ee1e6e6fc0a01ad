"""What may help against a failed check; the policy of re-editing chooses among these."""

from __future__ import annotations

from enum import StrEnum


class Remedy(StrEnum):
    """One change to the next attempt."""

    NEW_SEED = "new_seed"
    MORE_GUIDANCE = "more_guidance"
    LESS_GUIDANCE = "less_guidance"
    MORE_STEPS = "more_steps"
    FULL_MODEL = "full_model"  # leave the few-step model
    REWRITE = "rewrite"  # say the same in other words
    NAME_THE_PLACE = "name_the_place"  # say where in the picture
    QUOTE_THE_TEXT = "quote_the_text"  # say the words letter by letter
