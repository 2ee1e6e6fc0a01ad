"""How the service is doing: what replicas count and what a machine is at, over an hour."""
