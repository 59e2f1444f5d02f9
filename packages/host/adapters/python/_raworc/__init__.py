"""The adapter's own modules. Standard library only: the agent's environment has what the agent installed."""
