"""Runs one Python agent for the host: JSON-RPC 2.0 by lines, see worker.ts of the contract.

The agent has the main thread to itself, as it would have alone: it may import what wants the main thread, run an event
loop of its own, or block. A second thread reads what the host says, so a message can be cancelled while it runs.
"""

import sys

sys.dont_write_bytecode, written = True, sys.dont_write_bytecode
from _raworc.protocol import Connection  # noqa: E402
from _raworc.worker import serve  # noqa: E402

sys.dont_write_bytecode = written
# What the agent imports comes from the agent's folder, never from the adapter's.
sys.path.pop(0)

if __name__ == "__main__":
    serve(Connection())
