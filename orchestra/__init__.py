"""Orchestra: the parts of a container orchestrator, to be composed into control planes of your own."""
