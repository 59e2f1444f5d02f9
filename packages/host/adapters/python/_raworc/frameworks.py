"""Objects of agent frameworks, known by what they can do. Nothing of a framework is imported here."""

import inspect

from . import autogen, crewai, langchain


def find(target):
    """An async function (target, parameters, answer) that drives the object, or None for what is no framework's."""
    if target is None or isinstance(target, (str, bytes, int, float, list, dict, tuple)):
        return None
    if inspect.isclass(target):
        return _of_class(target)
    if inspect.isroutine(target):
        return None
    for framework in (langchain, crewai, autogen):
        drive = framework.find(target)
        if drive is not None:
            return drive
    return None


def _of_class(target):
    """A class of flows is made anew for each message, since a flow holds the state of one run."""
    if not callable(getattr(target, "kickoff_async", None)):
        return None

    async def drive(target, parameters, answer):
        made = target()
        await find(made)(made, parameters, answer)

    return drive
