"""Speed of the full-size architecture on a GPU, with random weights and without a service."""
