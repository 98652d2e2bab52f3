"""The command line, ``glm-edu``: one file a subcommand, each with its options and what it does."""
