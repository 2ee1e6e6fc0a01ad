"""Statistics of A/B tests: from the counts of each variant to a verdict that can be defended."""
