/** A worker: runs jobs on this thread, and has another one to talk to the API (`link.ts`). */
import { hostname } from "node:os";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker as Thread } from "node:worker_threads";

import type { Registered } from "./app.js";
import { Context, type Delivery, type StopReason } from "./context.js";
import { Api } from "./api.js";
import { AlreadyDone, ApiError, Discard, Refused, Retry, Sleeping, Snooze, Unreachable } from "./errors.js";
import type { Ending, FromLink, Key, LinkData, ToLink } from "./link.js";
import { encode, seconds, type Delay } from "./options.js";

const RESULT_LIMIT = 16 * 1024;
const ERROR_LIMIT = 4 * 1024;

interface Run {
  context: Context;
  stop: AbortController;
}

/** Runs the jobs of an application until it is stopped. See `Gristmill.run`. */
export class Worker {
  readonly #runs = new Map<Key, Run>();
  readonly #stopped = withResolvers<void>();
  readonly #hurried = withResolvers<void>();
  readonly #claimsEnded = withResolvers<void>();
  readonly #left = withResolvers<void>();
  readonly #data: LinkData;
  readonly #api: Api;
  #link: Thread | undefined;
  #fault: Error | undefined;

  constructor(
    url: string,
    key: string,
    readonly jobs: ReadonlyMap<string, Registered>,
    slots: number | Record<string, number>,
    readonly grace: number,
    label: string,
  ) {
    if (jobs.size === 0) throw new RangeError("there is nothing to run: register a job with app.job(name, …)");
    const queues = [...new Set(Array.from(jobs.values(), (job) => job.queue))];
    const each = typeof slots === "number" ? Object.fromEntries(queues.map((queue) => [queue, slots])) : slots;
    if (Object.values(each).some((count) => !(Number.isInteger(count) && count > 0)) || Object.keys(each).length === 0) {
      throw new RangeError(`each queue needs at least one slot, not ${JSON.stringify(slots)}`);
    }
    const worker = `${label || hostname()}-${process.pid}-${randomBytes(4).toString("hex")}`;
    const about = { worker, language: "typescript", host: hostname(), pid: process.pid };
    const timeouts = Object.fromEntries(Array.from(jobs, ([name, job]) => [name, job.timeout]));
    this.#data = { url, key, about, slots: each, timeouts };
    this.#api = new Api(url, key, 5);
  }

  /** Runs until `stop`, SIGTERM or SIGINT. Throws what makes its work impossible, such as a key that is refused. */
  async run(): Promise<void> {
    const stop = (): void => this.stop();
    const link = new Thread(new URL("./link.js", import.meta.url), { workerData: this.#data });
    this.#link = link;
    link.on("message", (message: FromLink) => this.#heed(message));
    link.on("error", (error) => this.#fail(error));
    link.on("exit", () => this.#left.resolve());
    process.on("SIGTERM", stop).on("SIGINT", stop);
    try {
      await this.#stopped.promise;
      this.#tell({ type: "stop" });
      await Promise.race([this.#claimsEnded.promise, this.#left.promise, sleep(3000)]);
      const end = performance.now() + this.grace * 1000;
      while (this.#runs.size > 0 && performance.now() < end) {
        if ((await Promise.race([this.#hurried.promise.then(() => true), sleep(20, false)])) === true) break;
      }
      if (this.#runs.size > 0) {
        this.#tell({ type: "hand back" });
        const last = performance.now() + 1200;
        while (performance.now() < last) await sleep(20);
      }
      this.#tell({ type: "leave" });
      await this.#left.promise;
    } finally {
      process.off("SIGTERM", stop).off("SIGINT", stop);
      await link.terminate();
    }
    if (this.#fault) throw this.#fault;
  }

  /** Claims no more; running jobs have their grace. The second call ends that at once. */
  stop(): void {
    if (this.#link === undefined || this.#stopping) this.#hurried.resolve();
    this.#stopping = true;
    this.#stopped.resolve();
  }

  #stopping = false;

  #tell(message: ToLink): void {
    this.#link?.postMessage(message);
  }

  #fail(error: Error): void {
    this.#fault ??= error;
    this.#stopping = true;
    this.#stopped.resolve();
  }

  #heed(message: FromLink): void {
    if (message.type === "start") {
      for (const delivery of message.deliveries) void this.#start(delivery);
    } else if (message.type === "cancel") {
      const run = this.#runs.get(message.key);
      if (!run) return;
      run.context.why = message.why;
      run.stop.abort(new DOMException(`the job is to stop: ${message.why}`, "AbortError"));
    } else if (message.type === "claims ended") {
      this.#claimsEnded.resolve();
    } else if (message.type === "fault") {
      this.#fail(message.problem ? new Refused(...message.problem) : new Error(message.message));
    }
  }

  async #start(delivery: Delivery): Promise<void> {
    const key: Key = `${delivery.id} ${delivery.delivery}`;
    const stop = new AbortController();
    const context: Context = new Context(
      delivery,
      stop,
      (done, total) => this.#tell({ type: "progress", key, done, total }),
      (message, level = "info") => {
        this.#tell({ type: "log", key, line: { at: new Date().toISOString(), level, message: message.replaceAll("\0", "\\0") } });
      },
      (kind, said) => this.#record(context, kind, said),
    );
    this.#runs.set(key, { context, stop });
    const job = this.jobs.get(delivery.name);
    let ending: Ending;
    try {
      if (!job) throw new Error(`no job is called ${delivery.name} here`);
      ending = success(context, await job.run(context, job.parse ? job.parse(delivery.payload) : delivery.payload));
    } catch (error) {
      try {
        ending = failure(context, job, error);
      } catch (fault) {
        ending = { kind: "failed", said: { error: `${text(error)}\n${text(fault)}`.slice(0, ERROR_LIMIT) } };
      }
    }
    this.#runs.delete(key);
    this.#tell({ type: "ended", key, ending });
  }

  /** Reports a step or a cursor at once, until it is received: why it is refused, if it is. */
  async #record({ id, delivery, signal }: Context, kind: string, said: Record<string, unknown>): Promise<string | undefined> {
    const body = JSON.stringify({ ...this.#data.about, held: [[id, delivery]], [kind]: [{ id, delivery, ...said }] });
    for (;;) {
      signal.throwIfAborted();
      try {
        const answer = await this.#api.call("POST", "/v1/work/reports", { body });
        if (answer.lost.includes(id)) throw new Error("another worker has the job");
        return answer.refused.find((it: { id: string }) => it.id === id)?.error;
      } catch (error) {
        if (error instanceof Refused) return error.message;
        if (!(error instanceof ApiError || error instanceof Unreachable)) throw error;
        console.warn(`gristmill: recording of job ${id}: ${error.message}`);
      }
    }
  }
}

function success(context: Context, result: unknown): Ending {
  if (context.completedIn) {
    // It stands by its own transaction. Where that was not committed, this report has the job run again; else the job is no
    // longer to be done, and the report changes nothing.
    return { kind: "failed", said: { error: "completeIn was called, but its transaction was not committed" } };
  }
  if (result === undefined || result === null) return { kind: "done", said: {} };
  const size = Buffer.byteLength(encode(result, `the result of ${context.name}`));
  if (size > RESULT_LIMIT) throw new RangeError(`the result of ${context.name} has ${size} bytes: at most ${RESULT_LIMIT} are kept`);
  return { kind: "done", said: { result } };
}

function failure(context: Context, job: Registered | undefined, error: unknown): Ending {
  const why: StopReason | undefined = context.why;
  if (error instanceof AlreadyDone) return { kind: "done", said: {} };
  if (error instanceof Sleeping) return { kind: error.kind, said: error.said };
  if (error instanceof Snooze) return { kind: "snoozed", said: { delay: seconds(error.delay) } };
  if (error instanceof Discard) return { kind: "failed", said: { error: text(error), discard: true } };
  if (why === "stopping") return { kind: "released", said: {} };
  if (why === "cancelled") return { kind: "failed", said: { error: text(error), cancelled: true } };
  let after: Delay | undefined = error instanceof Retry ? error.after : undefined;
  if (!context.hasBackoff) after ??= job?.backoff?.(context.attempt);
  const said = why === "timed out" ? `timed out after ${job?.timeout} s` : text(error);
  return { kind: "failed", said: { error: said, ...(after === undefined ? {} : { retry_in: seconds(after) }) } };
}

/** An error with where it came from, for the job's history. */
function text(error: unknown): string {
  const ours = error instanceof Retry || error instanceof Discard || error instanceof ApiError;
  const said = error instanceof Error ? (ours ? error.message : (error.stack ?? String(error))) : String(error);
  return said.replaceAll("\0", "\\0").slice(0, ERROR_LIMIT);
}

/** `Promise.withResolvers`, which Node 20 has not. */
function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T | PromiseLike<T>) => void } {
  let resolve: (value: T | PromiseLike<T>) => void = () => {};
  const promise = new Promise<T>((found) => {
    resolve = found;
  });
  return { promise, resolve };
}
