"""What `describe` says of each kind: pure functions that write to a `Sheet`; the command fetches what they need."""
