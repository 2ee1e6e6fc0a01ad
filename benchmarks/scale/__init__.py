"""How large a cluster: a discrete-event simulation fed with measured costs."""
