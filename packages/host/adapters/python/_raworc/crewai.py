"""CrewAI crews and flows."""

from .texts import result_text

# Crews by identity, and what they ask for.
_asked = {}


def find(target):
    return _drive if callable(getattr(target, "kickoff_async", None)) else None


async def _drive(target, parameters, answer):
    result = await target.kickoff_async(inputs=_inputs(target, parameters))
    usage = getattr(result, "token_usage", None)
    if usage is not None:
        answer.count(getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None))
    raw = getattr(result, "raw", None)
    answer.finish(raw if isinstance(raw, str) else result_text(result))


def _inputs(target, parameters):
    """What the texts of a crew's tasks and agents ask for in braces is the message."""
    content = parameters["content"]
    inputs = {"message": content, "input": content, "session_id": parameters["context"]["session_id"]}
    if callable(getattr(target, "fetch_inputs", None)):
        # After its first run a crew's texts are filled in, and ask for nothing any more.
        if id(target) not in _asked:
            _asked[id(target)] = (target, target.fetch_inputs())
        for name in _asked[id(target)][1]:
            inputs.setdefault(name, content)
        if "history" in inputs:
            history = parameters["context"].get("history", [])
            inputs["history"] = "\n".join(f"{entry['role']}: {entry['content']}" for entry in history)
    return inputs
