"""One module per subcommand: `run(client, options, terminal)` does the work, a thin click command calls it."""
