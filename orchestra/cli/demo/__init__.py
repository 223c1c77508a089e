"""`orchestra demo`: the main job end to end, every step verified by observation."""
