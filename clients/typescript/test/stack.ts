/** A real Gristmill: private Postgres and Redis, API, scheduler, in a folder of its own, on free ports. */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { Gristmill } from "../src/index.js";

/** What it returns as soon as that is true. */
export async function eventually<T>(what: () => T | Promise<T>, timeout = 60_000): Promise<NonNullable<T>> {
  const until = performance.now() + timeout;
  for (;;) {
    const found = await what();
    if (found) return found;
    if (performance.now() > until) throw new Error(`not within ${timeout} ms: ${what}`);
    await sleep(50);
  }
}

/** A port below the range that outgoing connections take theirs from, so that an API finds it again. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries += 1) {
    const port = 12_000 + Math.floor(Math.random() * 8_000);
    if (await isFree(port)) return port;
  }
  throw new Error("no port of 200 tried is free");
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

export class Stack {
  readonly #folder = mkdtempSync(join(tmpdir(), "gm-"));
  readonly #binary = process.env["GRISTMILL_BINARY"] ?? fileURLToPath(new URL("../../../../target/debug/gristmill", import.meta.url));
  readonly #log = openSync(join(this.#folder, "up.log"), "w");
  #up: ChildProcess | undefined;
  #env: Record<string, string> = {};
  url = "";
  key = "";
  database = "";

  async start(): Promise<this> {
    if (!existsSync(this.#binary)) {
      throw new Error(`${this.#binary} is not there: cargo build --package gristmill-cli, or say where by GRISTMILL_BINARY`);
    }
    const data = join(this.#folder, "data");
    const args = ["up", "--data-dir", data, "--addr", "127.0.0.1:0", "--workers", "0"];
    const up = spawn(this.#binary, args, { stdio: ["ignore", this.#log, this.#log] });
    this.#up = up;
    await eventually(() => {
      if (up.exitCode !== null) throw new Error(readFileSync(join(this.#folder, "up.log"), "utf8"));
      return existsSync(join(data, "up.json"));
    }, 120_000);
    const said = JSON.parse(readFileSync(join(data, "up.json"), "utf8"));
    [this.url, this.#env] = [said.api, said.env];
    // the socket's folder may be too long a name for other clients
    this.database = said.database_url.replace(/&host=[^&]*/, "");
    this.key = readFileSync(join(data, "dev.key"), "utf8").trim();
    return this;
  }

  async stop(): Promise<void> {
    await end(this.#up, "SIGTERM");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  app(): Gristmill {
    return new Gristmill({ url: this.url, key: this.key });
  }

  /** A process that runs the jobs of `jobs.ts`. */
  worker(env: Record<string, string>): ChildProcess {
    const more = { GRISTMILL_API: this.url, GRISTMILL_KEY: this.key, DATABASE_URL: this.database };
    const jobs = fileURLToPath(new URL("./jobs.js", import.meta.url));
    return spawn(process.execPath, [jobs], { env: { ...process.env, ...more, ...env }, stdio: "inherit" });
  }

  /** One more API, on this port. */
  api(port: number): ChildProcess {
    const env = { ...process.env, ...this.#env };
    return spawn(this.#binary, ["api", "--addr", `127.0.0.1:${port}`], { env, stdio: ["ignore", this.#log, this.#log] });
  }
}

/** Ends a process, and waits until it has. */
export async function end(process: ChildProcess | undefined, signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
  if (!process || process.exitCode !== null || process.signalCode !== null) return process?.exitCode ?? null;
  const ended = new Promise<number | null>((resolve) => process.once("exit", resolve));
  process.kill(signal);
  return await ended;
}
