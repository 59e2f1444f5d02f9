"""The connection to the host. Lines of JSON-RPC 2.0, on descriptors that the agent's children don't inherit."""

import json
import os
import sys
import threading

# As in worker.ts of the contract.
ERRORS = {
    "handler_failed": -32000,
    "handler_not_found": -32001,
    "agent_exited": -32002,
    "cancelled": -32003,
    "agent_start_failed": -32004,
    "disk_full": -32000,
}
# A piece of this many characters has at most 256 KiB of UTF-8.
PIECE_CHARACTERS = 64 * 1024
ERROR_CHARACTERS = 4000


class Failure(Exception):
    """Why a request can't be answered, in words for the user. `code` is one of FAILURES of the contract."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Connection:
    def __init__(self):
        self._lock = threading.Lock()
        self._input = os.dup(0)
        self._output = os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(3, 1)
        os.close(3)
        os.register_at_fork(after_in_child=self._abandon)

    def lines(self):
        """Requests and notifications as they come, until the host is gone."""
        rest = b""
        while True:
            chunk = os.read(self._input, 1 << 18)
            if not chunk:
                return
            if b"\n" not in chunk:
                rest += chunk
                continue
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                if line:
                    yield json.loads(line)

    def delta(self, message_id, text):
        self._text("delta", message_id, text)

    def part(self, message_id, text):
        self._text("part", message_id, text)

    def respond(self, request_id, result):
        self._send({"jsonrpc": "2.0", "id": request_id, "result": result})

    def refuse(self, request_id, code, message):
        error = {"code": ERRORS[code], "message": message[:ERROR_CHARACTERS], "data": {"failure": code}}
        self._send({"jsonrpc": "2.0", "id": request_id, "error": error})

    def flush(self):
        """Puts all prints into their pipes."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:  # The agent may have put anything there, or have closed it.
                pass

    def _text(self, method, message_id, text):
        for start in range(0, len(text), PIECE_CHARACTERS):
            piece = text[start : start + PIECE_CHARACTERS]
            self._send({"jsonrpc": "2.0", "method": method, "params": {"message_id": message_id, "text": piece}})

    def _send(self, message):
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
        with self._lock:
            if self._output is None:
                os._exit(1)  # A fork of the agent's that came back into the adapter.
            _write_all(self._output, line)

    def _abandon(self):
        # A child of a fork is no worker: the host shall see the end of this process alone.
        os.close(self._input)
        os.close(self._output)
        self._output = None


def _write_all(descriptor, data):
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
