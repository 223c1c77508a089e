"""The `orchestra` command: run a plane, talk to one, and show what the library does. Nothing imports it."""
