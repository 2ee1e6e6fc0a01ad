"""Ray Serve adapters: they construct, delegate and translate, and hold no logic."""
