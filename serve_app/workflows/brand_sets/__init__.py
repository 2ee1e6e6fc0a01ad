"""Brand sets: one picture, several variations, every format, in the colours of a brand."""
