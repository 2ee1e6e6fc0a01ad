"""Ways of an edit through the parts: the single edit, and what is built of it."""
