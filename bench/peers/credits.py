#!/usr/bin/env python3
"""The same credits by pandas and by polars, a column at a time, and whether all agree. See bench/README.md.

    cargo run --release -p gristmill-pipelines --example credits -- /tmp/messages.csv
    pip install pandas polars
    python3 bench/peers/credits.py /tmp/messages.csv

Without pandas or polars it says so and goes on with the other one. In twentieths of a credit, as Gristmill counts them.
"""
import csv, importlib, sys, time


def by_pandas(pandas, texts):
    s = pandas.Series(texts, dtype="str")
    length = s.str.len()
    words = s.str.findall(r"(?:[^\W\d_]|['-])+")
    total = 20 + length + words.map(lambda found: sum(2 if len(w) < 4 else 4 if len(w) < 8 else 6 for w in found))
    total += 6 * s.str[2::3].str.count("[aeiouAEIOU]")
    total += 100 * (length > 100)
    unique = words.map(lambda found: len(found) == len(set(found)))
    total = total.where(~unique, (total - 40).clip(lower=20))
    folded = s.str.lower().str.replace(r"[\W_]+", "", regex=True)
    palindrome = (folded == folded.str[::-1]) & (folded != "")
    return total.where(~palindrome, 2 * total).tolist()


def by_polars(polars, texts):
    col, element = polars.col, polars.element()
    frame = polars.DataFrame({"text": texts}).lazy()
    text = col("text")
    length = element.str.len_chars()
    price = polars.when(length < 4).then(2).when(length < 8).then(4).otherwise(6)
    frame = frame.with_columns(
        length=text.str.len_chars().cast(polars.Int64),
        words=text.str.extract_all(r"[\p{Alphabetic}'-]+"),
        thirds=text.str.replace_all(r"(?s)..(.)", "$1").str.head(text.str.len_chars() // 3),
        folded=text.str.to_lowercase().str.replace_all(r"[^\p{Alphabetic}\p{N}]+", ""),
    ).with_columns(
        sum=20 + col("length") + col("words").list.eval(price.cast(polars.Int64)).list.sum()
        + 6 * col("thirds").str.count_matches("[aeiouAEIOU]").cast(polars.Int64)
        + 100 * (col("length") > 100).cast(polars.Int64)
    ).with_columns(
        sum=polars.when(col("words").list.len() == col("words").list.n_unique())
        .then(polars.max_horizontal(col("sum") - 40, polars.lit(20))).otherwise(col("sum"))
    )
    palindrome = (col("folded") == col("folded").str.reverse()) & (col("folded") != "")
    return frame.select(polars.when(palindrome).then(2 * col("sum")).otherwise(col("sum"))).collect().to_series().to_list()


def main():
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts, ours = [row["text"] for row in rows], [int(row["twentieths"]) for row in rows]
    wrong = 0
    for name, price in ("pandas", by_pandas), ("polars", by_polars):
        try:
            library = importlib.import_module(name)
        except ImportError:
            print(f"{name:8} is not installed: pip install {name}")
            continue
        begun, cpu = time.monotonic(), time.process_time()
        theirs = price(library, texts)
        spent, cpu = time.monotonic() - begun, time.process_time() - cpu
        differ = [n for n in range(len(texts)) if theirs[n] != ours[n]]
        wrong += len(differ)
        print(f"{name:8} {library.__version__:8} {len(texts) / spent / 1e6:.2f} million messages/s, "
              f"{len(texts) / cpu / 1e6:.2f} a second of processor time; {len(differ)} differ")
        for n in differ[:5]:
            print(f"  {texts[n]!r}: {theirs[n]}, not {ours[n]}")
    return 1 if wrong else 0


sys.exit(main())
