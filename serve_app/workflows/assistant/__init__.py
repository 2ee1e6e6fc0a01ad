"""The content assistant: from a brief in plain words to the specification of a job."""
