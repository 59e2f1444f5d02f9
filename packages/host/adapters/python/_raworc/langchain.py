"""LangChain Runnables and LangGraph graphs."""

from .texts import content_text, result_text

# What a chain may call the text that it is asked, and what came before.
QUESTION_KEYS = ("input", "question", "query", "message", "text", "prompt", "topic", "content")
HISTORY_KEYS = ("messages", "history", "chat_history")
ANSWER_KEYS = ("output", "answer", "result", "response", "text", "content")


def find(target):
    if callable(getattr(target, "compile", None)) and callable(getattr(target, "add_node", None)):
        return _drive_uncompiled
    if not callable(getattr(target, "astream", None)) or not callable(getattr(target, "ainvoke", None)):
        return None
    return _drive_graph if callable(getattr(target, "aget_state", None)) else _drive_runnable


async def _drive_uncompiled(target, parameters, answer):
    await _drive_graph(target.compile(), parameters, answer)


async def _drive_graph(graph, parameters, answer):
    # With a checkpointer the graph itself remembers the thread.
    remembers = bool(getattr(graph, "checkpointer", None))
    keys = _input_keys(graph)
    given = _by_keys(keys, parameters, remembers) if keys and "messages" not in keys else None
    given = given or {"messages": _messages(parameters, remembers)}
    state = None
    stream = _MessageStream(answer)
    async for mode, payload in graph.astream(given, _config(parameters), stream_mode=["messages", "values"]):
        if mode == "values":
            state = payload
        elif isinstance(payload, (tuple, list)) and payload:
            stream.add(payload[0])
    if not answer.streamed:
        answer.finish(_last_answer(state, answer))


class _MessageStream:
    """Shows what models say, and not what tools and people do; an empty line between two messages."""

    def __init__(self, answer):
        self._answer = answer
        self._current = None

    def add(self, message):
        if getattr(message, "type", "") not in ("ai", "AIMessageChunk"):
            return
        _count(message, self._answer)
        text = content_text(getattr(message, "content", ""))
        if not text:
            return
        identity = getattr(message, "id", None)
        if self._current is not None and identity != self._current:
            self._answer.stream("\n\n")
        self._current = identity
        self._answer.stream(text)


async def _drive_runnable(runnable, parameters, answer):
    rest = None
    async for chunk in runnable.astream(_input(runnable, parameters), _config(parameters)):
        _count(chunk, answer)
        if isinstance(chunk, str):
            answer.stream(chunk)
        elif hasattr(chunk, "content") and not isinstance(chunk, dict):
            answer.stream(content_text(chunk.content))
        else:
            rest = _merge(rest, chunk)
    if not answer.streamed:
        answer.finish(_main_value(rest))


def _config(parameters):
    return {"configurable": {"thread_id": parameters["context"]["session_id"]}}


def _input(runnable, parameters):
    if callable(getattr(runnable, "bind_tools", None)):
        return _messages(parameters, remembers=False)
    return _by_keys(_input_keys(runnable), parameters, remembers=False) or parameters["content"]


def _input_keys(runnable):
    """Names of the fields that it takes; nothing where it takes a text or does not say."""
    try:
        schema = runnable.get_input_jsonschema()
    except Exception:  # Schemas are made from the user's types, and can fail in as many ways.
        return ()
    properties = schema.get("properties")
    if properties is None and "$ref" in schema:
        properties = schema.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {}).get("properties")
    return tuple(properties or ())


def _by_keys(keys, parameters, remembers):
    given = {}
    for key in keys:
        if key in HISTORY_KEYS:
            given[key] = _messages(parameters, remembers)[: None if key == "messages" else -1]
        elif key in QUESTION_KEYS or len(keys) == 1:
            given[key] = parameters["content"]
    return given


def _messages(parameters, remembers):
    roles = {"user": "user", "agent": "assistant"}
    before = [] if remembers else parameters["context"].get("history", [])
    messages = [
        {"role": roles[entry["role"]], "content": entry["content"]} for entry in before if entry.get("role") in roles
    ]
    return [*messages, {"role": "user", "content": parameters["content"]}]


def _count(message, answer):
    usage = getattr(message, "usage_metadata", None)
    if isinstance(usage, dict):
        answer.count(usage.get("input_tokens"), usage.get("output_tokens"))


def _merge(before, chunk):
    if before is None:
        return chunk
    if isinstance(before, dict) and isinstance(chunk, dict):
        return {**before, **chunk}
    try:
        return before + chunk
    except TypeError:
        return chunk


def _last_answer(state, answer):
    """The last message of a graph's state, else its main value."""
    messages = state.get("messages") if isinstance(state, dict) else getattr(state, "messages", None)
    if isinstance(messages, list) and messages:
        last = messages[-1]
        return last.get("content") if isinstance(last, dict) else content_text(getattr(last, "content", ""))
    return _main_value(state)


def _main_value(value):
    if isinstance(value, dict):
        for key in ANSWER_KEYS:
            if isinstance(value.get(key), str):
                return value[key]
    return result_text(value)
