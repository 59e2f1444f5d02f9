"""Finds what the manifest names as handler."""

import importlib
import importlib.util
import inspect
import re
import sys

from .protocol import Failure


def load(path, name):
    """The object that `module.attribute` names. Raises Failure, or what the agent's code raises on import."""
    sys.path.insert(0, path)
    module_name, attributes = _split(name)
    module, attributes = _import(module_name, attributes, name)
    found = module
    for attribute in attributes:
        try:
            found = getattr(found, attribute)
        except AttributeError:
            where = f"{module.__name__}.py" if found is module else type(found).__name__
            raise Failure(
                "handler_not_found",
                f"The handler {name} is not there: {where} has no {attribute}. It has: {_contents(module)}. "
                "Set handler in raworc.json to module.attribute.",
            ) from None
    return found


def _split(name):
    """`main.process_message`, `src/app.run`, `app.py:graph` as module and attributes."""
    if ":" in name:
        module, attribute = name.rsplit(":", 1)
        return re.sub(r"\.py$", "", module), attribute.split(".")
    folder, _, last = name.rpartition("/")
    parts = last.split(".")
    if len(parts) > 2 and parts[1] == "py":
        parts.pop(1)
    if len(parts) == 1:
        parts.append("process_message")
    return f"{folder}/{parts[0]}" if folder else parts[0], parts[1:]


def _import(name, attributes, handler):
    module_name = ".".join(part for part in name.split("/") if part not in ("", "."))
    if not _exists(module_name):
        raise Failure(
            "handler_not_found",
            f"The handler {handler} is not there: there is no module {module_name} in the agent's folder. "
            "Set handler in raworc.json to module.attribute.",
        )
    module = importlib.import_module(module_name)
    # `package.module.attribute`: as far as there are modules.
    while len(attributes) > 1 and not hasattr(module, attributes[0]) and _exists(f"{module_name}.{attributes[0]}"):
        module_name = f"{module_name}.{attributes[0]}"
        attributes = attributes[1:]
        module = importlib.import_module(module_name)
    return module, attributes


def _exists(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
    except ValueError:
        return name in sys.modules


def _contents(module):
    names = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value) and getattr(value, "__module__", None) == module.__name__
    ]
    return ", ".join(sorted(names)[:20]) or "nothing"


def accepted_arguments(function):
    """How many of (message, context) a handler takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 2
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 2
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return min(2, sum(parameter.kind in kinds for parameter in parameters))


def is_async(target):
    call = getattr(target, "__call__", None)
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in (target, call))
