"""What users may call steps, variants, formats and workflows: names that files can have, too."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_PATTERN = f"^{NAME.pattern}$"
"""The same for schemas, which look for a pattern anywhere."""

NAME_IS = "1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit"
"""Completes the sentence "`name` must be …"."""
