"""One line of the log for each edit that ended, with its figures and nothing that users wrote."""

from __future__ import annotations

import logging
from typing import Any

from serve_app.edits.result import EditOutcome
from serve_app.monitoring.activity import edit_type_of

logger = logging.getLogger(__name__)


class EditLog:
    """Logs how edits ended, as a gateway's observer; its facts are fields of the line as well."""

    def began(self) -> None:
        """Nothing is to be said yet."""

    def completed(self, outcome: EditOutcome, seconds: float) -> None:
        """Log an edit that was answered."""
        result = outcome.result
        _log(
            "answered",
            edit_id=result.id,
            edit_type=edit_type_of(result.metadata),
            verdict=result.verdict,
            attempts=result.attempts,
            cache=str(outcome.cache),
            seconds=round(seconds, 3),
        )

    def failed(self, code: str) -> None:
        """Log an edit that ended with an error."""
        _log("failed", code=code)

    def withdrawn(self) -> None:
        """Log an edit whose caller left."""
        _log("withdrawn")


def _log(ended: str, **facts: Any) -> None:
    fields = {"edit": ended, **facts}
    # In the message too, for logs that are plain text.
    logger.info(" ".join(f"{name}={value}" for name, value in fields.items()), extra=fields)
