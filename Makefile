# `make help` prints the lines that begin with two hashes.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.PHONY: help setup tools run demo test test-brokers test-chaos check clients clients-tools document document-tools docs docs-serve pictures audit bench up down

## help    this page
help:
	@sed -n 's/^## /  make /p' $(MAKEFILE_LIST)

## setup   installs what is missing: Postgres, Redis, a C compiler (apt, dnf or brew)
setup:
	@sh scripts/setup

## run     everything on this machine, with a private Postgres and Redis; Ctrl-C stops it
run: setup
	cargo run --release --package gristmill-cli -- up

## demo    the same with 1.1 million rows sent through it, step by step
demo: setup
	@sh scripts/demo

## test    every test, on private engines; installs poppler and zbar too, which look at a bill's page, a browser, and Python
test:
	@sh scripts/setup --tests
	$(TEST_THREADS) cargo test --workspace
	TEST_BROKER=postgres $(TEST_THREADS) cargo test --workspace --test it -- $(BROKER_TESTS)

# Most tests wait for engines and clocks, so more of them run than there are processors.
TEST_THREADS = RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(getconf _NPROCESSORS_ONLN)))}

# what differs most between brokers; all that is about one is in test-brokers
BROKER_TESTS = fairness:: fenced:: knowers:: limits:: lost:: pause:: steps:: window:: workers:: engines::postgres

## test-brokers  every test of the queue with Postgres alone as the broker, as each night: four minutes
test-brokers: setup
	TEST_BROKER=postgres $(TEST_THREADS) cargo test --package gristmill-queue --test it

## test-chaos  three minutes of processes killed, engines lost and lines cut; then everything is counted
test-chaos: setup
	cargo run --release --package gristmill-cli -- chaos --minutes 3

## check   what CI wants beside the tests: format, lints, docs, licences, unused dependencies, alerts, packages, subjects of commits, words of the documents, the book
check: tools
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace
	cargo deny check bans licenses sources
	cargo machete
	@sh scripts/package
	@sh scripts/rules
	@sh scripts/commits
	@sh scripts/words
	@sh scripts/book

## clients  the packages for Python and TypeScript: built, checked, tested against a real Gristmill; installs Node.js and Python
clients: clients-tools
	cargo test --workspace --no-run --quiet
	@sh scripts/clients

clients-tools:
	@sh scripts/setup --document
	@sh scripts/clients --install

## document  holds the API's document against linters, clients made of it, and Schemathesis, as CI does; installs Node.js and Python
document: document-tools
	cargo test --workspace --no-run --quiet
	@sh scripts/document

document-tools:
	@sh scripts/setup --document
	@sh scripts/document --install

## docs    builds the book of docs/ into target/book
docs:
	@sh scripts/book

## docs-serve  shows the book on http://127.0.0.1:3000 while its pages change
docs-serve:
	@sh scripts/book serve

## pictures  draws the picture of the dashboard in docs/ anew
pictures:
	@sh scripts/setup --tests
	cargo build --release --package gristmill-cli
	PICTURED_BINARY=$(abspath target/release/gristmill) cargo test --package gristmill-cli --test it -- --ignored pictures

## audit   known vulnerabilities among the dependencies (needs the network)
audit: tools
	cargo deny check advisories

## bench   how fast it is, against Postgres' own loader: writes the table and the plot of bench/README.md; HISTORY=50 for 50 million rows
bench:
	@sh scripts/setup --document
	cargo build --release --package gristmill-cli --package gristmill-bench
	target/release/gristmill-bench $(if $(HISTORY),--history $(HISTORY)) --write bench/README.md --picture docs/internals/history.svg

## up      with Docker: docker compose up
up:
	docker compose up --build --detach

## down    stops what `make up` started; volumes stay
down:
	docker compose down

tools:
	@sh scripts/setup --tools
