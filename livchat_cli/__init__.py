"""The command line of livchat.setup: names operations and runs their playbooks; knows nothing of servers or apps."""
