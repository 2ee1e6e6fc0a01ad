"""Proof that the validator judges well: a labelled suite, and how it is judged."""
