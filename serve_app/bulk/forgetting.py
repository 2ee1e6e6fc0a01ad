"""What keeps Ray Data's memory flat over a run of many blocks."""

from __future__ import annotations

from typing import Any

from ray.data import DataContext
from ray.data._internal.execution.execution_callback import ExecutionCallback


class ForgetBlocks(ExecutionCallback):
    """Forgets the figures of blocks that are through.

    Each operator keeps those of all its blocks for a summary in the end, 2 KB a block: of a
    million rows, as many gigabytes as it has operators and more. Nobody looks at the summary.
    """

    def on_execution_step(self, executor: Any) -> None:
        """Called by Ray Data in every turn of its loop."""
        for operator in getattr(executor, "_topology", None) or ():
            kept = getattr(operator, "_output_blocks_stats", None)
            if isinstance(kept, list):
                kept.clear()


def forget_blocks(context: DataContext) -> None:
    """Let datasets made with ``context`` forget their blocks."""
    classes = context.custom_execution_callback_classes
    if ForgetBlocks not in classes:
        classes.append(ForgetBlocks)
