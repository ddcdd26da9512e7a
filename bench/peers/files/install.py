#!/usr/bin/env python3
"""Installs what run.py compares with below target/peers/files, and prints the names of those that are there."""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
VENV = HERE.parents[2] / "target" / "peers" / "files"
PYTHON = VENV / "bin" / "python"
NEEDS = {
    "polars": "polars, psycopg",
    "duckdb": "duckdb, duckdb_extension_postgres_scanner, psycopg",
    "celery": "celery, fastapi, packaging, psycopg, redis, sqlalchemy, uvicorn",
}


def quietly(*command):
    return subprocess.run([str(part) for part in command], stdout=sys.stderr, check=False).returncode == 0


def main():
    if not PYTHON.exists() and not quietly(sys.executable, "-m", "venv", VENV):
        return
    pip = [PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    if not quietly(*pip, "--requirement", HERE / "requirements.txt"):
        # one that cannot be had does not keep the others out
        for line in (HERE / "requirements.txt").read_text().splitlines():
            if not line.startswith("#"):
                quietly(*pip, line)
    for name, modules in NEEDS.items():
        if quietly(PYTHON, "-c", f"import {modules}"):
            print(name)


if __name__ == "__main__":
    main()
