"""The command line of livchat.setup: it names operations and runs their playbooks, and knows nothing of servers or apps."""
