"""A CSV file to try the agent with."""

import csv
import math
import pathlib
import random


def write_sample(path=pathlib.Path("sample.csv")):
    """Two years of made-up weather, the same each time."""
    chance = random.Random(7)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["month", "temperature", "rain_mm", "sky"])
        for month in range(24):
            season = math.cos((month % 12 - 6) / 12 * 2 * math.pi)
            temperature = round(11 + 10 * season + chance.gauss(0, 1.5), 1)
            rain = round(max(0, 55 - 20 * season + chance.gauss(0, 12)))
            sky = "sunny" if rain < 40 else "mixed" if rain < 65 else "grey"
            writer.writerow([f"{2024 + month // 12}-{month % 12 + 1:02}", temperature, rain, sky])
    return path
