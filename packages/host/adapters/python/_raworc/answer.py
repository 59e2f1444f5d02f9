"""What goes back for one message."""

from .protocol import PIECE_CHARACTERS
from .texts import piece_text, result_text


class Answer:
    def __init__(self, connection, message_id):
        self._connection = connection
        self._message_id = message_id
        self._tokens = {}
        self._content = {}
        self.streamed = False

    def stream(self, piece):
        """A piece of any shape; shown at once."""
        text = piece_text(piece)
        if text:
            self.streamed = True
            self._connection.delta(self._message_id, text)

    def finish(self, value):
        """The result of a handler that did not stream."""
        text = result_text(value)
        if len(text) <= PIECE_CHARACTERS:
            self._content = {"content": text}
        else:
            self._connection.part(self._message_id, text)

    def count(self, input_tokens, output_tokens):
        """Adds up what a framework reports."""
        for name, count in (("input", input_tokens), ("output", output_tokens)):
            if isinstance(count, int) and not isinstance(count, bool):
                self._tokens[name] = self._tokens.get(name, 0) + count

    def result(self):
        return {**self._content, "tokens": self._tokens} if self._tokens else self._content
