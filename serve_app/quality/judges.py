"""Which judge of the instruction is configured."""

from __future__ import annotations

from serve_app.config import QualityConfig
from serve_app.edits.question import Ask
from serve_app.quality.opinion import InstructionJudge
from serve_app.quality.questions import TextEncoderJudge


def open_judge(config: QualityConfig, ask: Ask) -> InstructionJudge | None:
    """The configured judge, ``None`` without one; ``ask`` reaches an editor's text encoder.

    Raises ``ConfigurationError`` for a checkpoint that can't be used.
    """
    match config.judge.kind:
        case "none":
            return None
        case "text_encoder":
            return TextEncoderJudge(ask, config.judge.threshold, config.side)
        case "similarity":
            # Here, since it is the only part of a validator that loads torch.
            from serve_app.quality.similarity import SimilarityJudge

            return SimilarityJudge(config.judge, config.threads)
