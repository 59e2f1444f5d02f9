"""An agent that describes what it is given. The working directory is the session's workspace."""

import pathlib
import re
import time

from describe import describe_numbers, describe_table, describe_text, read_table
from sample import write_sample

HELP = """Send me numbers (12 15 9 30 22), a text of some sentences, or the name of a CSV file in the workspace.
Say "sample" and I write one and describe it; "files" shows what is there.
"""
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def process_message(message, context):
    """Called for each message; what it yields is shown as it comes."""
    for line in answer(message.strip()):
        yield line + "\n"
        # Only so that it is pleasant to watch.
        time.sleep(0.03)


def answer(message):
    command = message.lower()
    if command == "sample":
        path = write_sample()
        yield f"I wrote two years of made-up weather to {path}."
        yield from describe_file(path)
    elif command == "files":
        yield from list_files()
    elif path := file_named_in(message):
        yield from describe_file(path)
    elif re.search(r"\w\.(?:csv|tsv|txt)\b", command):
        yield "There is no such file in the workspace."
        yield from list_files()
    elif len(NUMBER.findall(message)) >= 3 and not re.search(r"[A-Za-z]{3,}", message):
        yield from describe_numbers([float(text) for text in NUMBER.findall(message)])
    elif len(message.split()) >= 6:
        yield from describe_text(message)
    else:
        yield HELP.rstrip()


def file_named_in(message):
    """The first file of the workspace that the message names."""
    for word in message.replace('"', " ").split():
        path = pathlib.Path(word.rstrip(".,!?"))
        if not path.is_absolute() and ".." not in path.parts and path.is_file():
            return path
    return None


def describe_file(path):
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix.lower() in (".csv", ".tsv"):
        yield from describe_table(path.name, *read_table(text))
    else:
        yield from describe_text(text)


def list_files():
    files = sorted(path for path in pathlib.Path().rglob("*") if path.is_file())
    if not files:
        yield 'The workspace is empty. Say "sample" for a file to look at.'
    for path in files[:20]:
        yield f"  {path}  ({path.stat().st_size:,} bytes)"
