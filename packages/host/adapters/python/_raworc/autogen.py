"""AutoGen AgentChat agents and teams."""

import sys
import weakref

_known = weakref.WeakSet()


def find(target):
    return _drive if callable(getattr(target, "run_stream", None)) else None


async def _drive(target, parameters, answer):
    last = ""
    async for item in target.run_stream(task=_task(target, parameters)):
        usage = getattr(item, "models_usage", None)
        if usage is not None:
            answer.count(getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None))
        content = getattr(item, "content", None)
        if not isinstance(content, str) or getattr(item, "source", "user") == "user":
            continue
        if type(item).__name__.endswith("StreamingChunkEvent"):
            answer.stream(content)
        elif not type(item).__name__.endswith("Event"):
            last = content
    if not answer.streamed:
        answer.finish(last)


def _task(target, parameters):
    """Agents remember what they were told; a new process tells them what came before it."""
    content = parameters["content"]
    history = parameters["context"].get("history", [])
    known = target in _known
    _known.add(target)
    text_message = getattr(sys.modules.get("autogen_agentchat.messages"), "TextMessage", None)
    if known or not history or text_message is None:
        return content
    before = [
        text_message(source="user" if entry["role"] == "user" else "assistant", content=entry["content"])
        for entry in history
        if entry.get("role") in ("user", "agent")
    ]
    return [*before, text_message(source="user", content=content)]
