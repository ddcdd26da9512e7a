#!/usr/bin/env python3
"""The same names by rapidfuzz: process.extractOne over the whole dictionary, on all cores. See bench/README.md.

    cargo run --release -p gristmill-pipelines --example normalize 2026 /tmp/descriptors.tsv
    python3 bench/peers/normalize.py /tmp/descriptors.tsv [count]

Each descriptor is handed over with numbers and punctuation taken out, lower case, as rapidfuzz' users do.
"""
import multiprocessing, pathlib, re, sys, time, zlib
from rapidfuzz import fuzz, process

DICTIONARY = pathlib.Path(__file__).parents[2] / "shared/pipelines/dictionary/brands.z"


def clean(text):
    return re.sub(r"[^a-z ]+", " ", text.lower()).strip()


def names():
    found = {}
    for line in zlib.decompress(DICTIONARY.read_bytes()).decode().splitlines():
        kind, *fields = line.split("\t")
        if kind == "b":
            for name in [fields[0], *filter(None, fields[4].split("|"))]:
                found.setdefault(clean(name), fields[0])
    return found


NAMES = names()
CHOICES = list(NAMES)


def normalize(descriptor):
    best = process.extractOne(clean(descriptor), CHOICES, scorer=fuzz.WRatio, score_cutoff=90)
    return NAMES[best[0]] if best else ""


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    rows = [line.rstrip("\n").split("\t") for line in open(sys.argv[1], encoding="utf-8")][:count]
    cores = multiprocessing.cpu_count()
    with multiprocessing.Pool(cores) as pool:
        pool.map(normalize, [row[0] for row in rows[:50]])
        begun = time.monotonic()
        found = pool.map(normalize, [row[0] for row in rows], chunksize=50)
        spent = time.monotonic() - begun
    right = sum(bool(name) and name in row[1].split("|") for row, name in zip(rows, found))
    answered, known = sum(map(bool, found)), sum(bool(row[1]) for row in rows)
    print(f"rapidfuzz   {len(rows) / spent:.0f} descriptors/s on {cores} cores, {len(CHOICES)} names")
    print(f"precision   {right / answered:.4f}, recall {right / known:.4f}")


main()
