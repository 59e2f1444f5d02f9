"""Results of any shape as text."""

import dataclasses
import json


def result_text(value):
    """A reply: text as it is, nothing as nothing, everything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    return json.dumps(value, ensure_ascii=False, default=_plain)


def piece_text(piece):
    """A streamed piece: also the message chunks that frameworks yield."""
    if not isinstance(piece, (str, dict, list)) and hasattr(piece, "content"):
        return content_text(piece.content)
    return result_text(piece)


def content_text(content):
    """The text of a chat message's content: a text, or a list of blocks of which some are text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(block if isinstance(block, str) else _block_text(block) for block in content)


def _block_text(block):
    if isinstance(block, dict) and block.get("type") in ("text", "output_text") and isinstance(block.get("text"), str):
        return block["text"]
    return ""


def _plain(value):
    for method in ("model_dump", "to_dict", "dict"):
        if callable(getattr(value, method, None)) and not isinstance(value, type):
            return getattr(value, method)()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    return str(value)
