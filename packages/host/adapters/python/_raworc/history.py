"""The conversation as the messages bring it: most of them only what is new."""


class History:
    def __init__(self):
        self._entries = []

    def complete(self, parameters):
        """Gives a message's context its whole history, which the handler may change as it likes."""
        context = parameters["context"]
        keeps = parameters.get("history_keeps", 0)
        self._entries = self._entries[len(self._entries) - keeps :] + context["history"]
        context["history"] = [dict(entry) for entry in self._entries]
