"""Descriptions of numbers, tables and texts, line by line."""

import collections
import csv
import io
import re
import statistics

BLOCKS = " ▁▂▃▄▅▆▇█"
WIDTH = 40
COMMON = set("the a an and or of to in on is are was it that this for with as at by be from but not you i we they".split())


def describe_numbers(values, name="numbers"):
    yield f"{name}: {len(values)} values from {plain(min(values))} to {plain(max(values))}"
    middle = statistics.fmean(values)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    yield f"  mean {plain(middle)}, median {plain(statistics.median(values))}, spread {plain(spread)}"
    yield f"  {sparkline(values)}"
    yield from histogram(values)
    far = [value for value in values if spread and abs(value - middle) > 2 * spread]
    if far:
        yield f"  far from the others: {', '.join(plain(value) for value in far[:5])}"


def describe_table(name, header, rows):
    yield f"{name}: {len(rows)} rows, {len(header)} columns ({', '.join(header[:12])})"
    for index, column in enumerate(header[:12]):
        cells = [row[index] for row in rows if index < len(row) and row[index] != ""]
        numbers = [number for cell in cells if (number := to_number(cell)) is not None]
        yield ""
        if cells and len(numbers) == len(cells):
            yield from describe_numbers(numbers, column)
        else:
            yield from describe_words(cells, column)


def describe_words(cells, name):
    counts = collections.Counter(cells)
    if len(counts) == len(cells) and cells:
        yield f"{name}: {len(cells)} values, all different, from {min(cells)} to {max(cells)}"
        return
    yield f"{name}: {len(counts)} different values"
    yield from bars(counts.most_common(5))


def describe_text(text):
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text.lower())
    sentences = [part for part in re.split(r"[.!?]+\s", text) if part.strip()]
    if not words:
        yield "There are no words in it."
        return
    yield f"{len(words)} words in {len(sentences)} sentences, {len(set(words))} of them different"
    yield f"  {plain(len(words) / len(sentences))} words a sentence, some {max(1, round(len(words) / 200))} min to read"
    longest = max(words, key=len)
    yield f"  the longest word is {longest} ({len(longest)} letters)"
    counts = collections.Counter(word for word in words if word not in COMMON and len(word) > 2)
    yield "  what it is about:"
    yield from bars(counts.most_common(6))


def read_table(text):
    """The header and the rows of a CSV text."""
    try:
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t")
    except csv.Error:
        dialect = csv.excel
    rows = [row for row in csv.reader(io.StringIO(text), dialect) if row]
    return (rows[0], rows[1:]) if rows else ([], [])


def histogram(values, groups=6):
    low, high = min(values), max(values)
    if low == high:
        return
    width = (high - low) / groups
    counts = collections.Counter(min(int((value - low) / width), groups - 1) for value in values)
    labels = [f"{plain(low + index * width)} to {plain(low + (index + 1) * width)}" for index in range(groups)]
    yield from bars([(label, counts[index]) for index, label in enumerate(labels)])


def bars(pairs):
    most = max((count for _, count in pairs), default=0)
    wide = max((len(label) for label, _ in pairs), default=0)
    for label, count in pairs:
        yield f"  {label:>{wide}} {'█' * round(WIDTH * count / most) if most else ''} {count}"


def sparkline(values):
    shown = values if len(values) <= 60 else values[:: len(values) // 60 + 1]
    low, high = min(shown), max(shown)
    scale = (len(BLOCKS) - 2) / (high - low) if high > low else 0
    return "".join(BLOCKS[1 + round((value - low) * scale)] for value in shown)


def to_number(cell):
    try:
        return float(cell.replace(",", ""))
    except ValueError:
        return None


def plain(number):
    return f"{number:,.2f}".rstrip("0").rstrip(".")
