/** What a running job knows of itself. */
import { Discard, Sleeping } from "./errors.js";
import { encode, seconds, type Delay, type Json } from "./options.js";

/** Why a job should stop: "lost" means that another worker has it. */
export type StopReason = "cancelled" | "lost" | "timed out" | "stopping";

/** The tick of a schedule that enqueued a job. */
export interface Tick {
  schedule: string;
  /** When it was to be: a report of "yesterday" is of the day before it, however late it runs. */
  at: Date;
  /** Why it is there: "due", "caught_up" or "run_now". */
  cause: string;
}

/** A job as the API gives it to a worker. */
export interface Delivery {
  id: string;
  delivery: number;
  name: string;
  attempt: number;
  max_attempts: number;
  payload: Json;
  lease_ms: number;
  timeout_ms?: number | null;
  traceparent?: string | null;
  cursor?: Json;
  steps?: Record<string, Json>;
  slept?: number[];
  received?: { signal: string; n: number; timed_out: boolean; payload?: Json }[];
  backoff?: unknown;
  tick?: { schedule: string; at: string; cause: string } | null;
}

/** How much a line of a log matters. */
export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

/** @internal What a context has said is recorded by it: why it is refused, if it is. */
export type Recorder = (kind: "steps" | "cursor", said: Record<string, unknown>) => Promise<string | undefined>;

const RESULT_LIMIT = 16 * 1024;

/** One attempt of a job: what it is, whether it is still wanted, and how far it is. */
export class Context {
  /** The job. */
  readonly id: string;
  /** Which delivery of the job this is. */
  readonly delivery: number;
  readonly name: string;
  /** Which attempt this is, from 1. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** The W3C trace that the job is part of. */
  readonly traceparent: string | undefined;
  /** The tick of a schedule that enqueued it, if one did. */
  readonly tick: Tick | undefined;
  /** Aborted when the job should stop: pass it on to `fetch`, timers, … */
  readonly signal: AbortSignal;
  /** @internal */
  readonly hasBackoff: boolean;
  /** @internal */
  completedIn = false;
  /** @internal */
  why: StopReason | undefined;

  /** @internal */
  constructor(
    delivery: Delivery,
    stop: AbortController,
    /** Says how far the job is. It is sent with the next heartbeat. */
    readonly progress: (done: number, total: number) => void,
    /** Keeps a line with this attempt; the last 500 are. It is sent with the next report. */
    readonly log: (message: string, level?: LogLevel) => void,
    /** @internal */
    readonly record: Recorder,
  ) {
    this.id = delivery.id;
    this.delivery = delivery.delivery;
    this.name = delivery.name;
    this.attempt = delivery.attempt;
    this.maxAttempts = delivery.max_attempts;
    this.traceparent = delivery.traceparent ?? undefined;
    this.tick = delivery.tick ? { ...delivery.tick, at: new Date(delivery.tick.at) } : undefined;
    this.hasBackoff = delivery.backoff !== undefined && delivery.backoff !== null;
    this.signal = stop.signal;
    this.#steps = new Map(Object.entries(delivery.steps ?? {}));
    this.#cursor = delivery.cursor;
    this.#slept = new Set(delivery.slept);
    this.#received = new Map((delivery.received ?? []).map((it) => [`${it.signal}:${it.n}`, it.payload]));
  }

  readonly #steps: Map<string, Json>;
  readonly #slept: Set<number>;
  readonly #received: Map<string, Json>;
  readonly #met = new Set<string>();
  readonly #waits = new Map<string, number>();
  #sleeps = 0;
  #cursor: Json;

  /**
   * Does something once, however often the job runs. Its result (JSON, at most 16 KiB) is recorded before this resolves, and a
   * retry gets it in place of doing it again. A step that throws is not recorded. Each has a name of its own.
   */
  async step<T extends Json>(name: string, run: () => Promise<T> | T): Promise<T> {
    if (this.#met.has(name)) {
      throw new Discard(`two steps of a job are called ${name}: a step is done once, so give each a name of its own`);
    }
    this.#met.add(name);
    if (this.#steps.has(name)) return this.#steps.get(name) as T;
    const result = await this.#keep("steps", `the step ${name}`, (await run()) ?? null, (value) => ({ name, result: value }));
    this.#steps.set(name, result);
    return result;
  }

  /** Where a run before this one has come to by `saveCursor`; undefined where there is none. */
  get cursor(): any {
    return this.#cursor;
  }

  /** Records how far the job is (JSON, at most 16 KiB): the next run finds it in `cursor`. Each call is a request. */
  async saveCursor(cursor: Json): Promise<void> {
    this.#cursor = await this.#keep("cursor", "the cursor", cursor ?? null, (value) => ({ cursor: value }));
  }

  /**
   * Sleeps without a worker: the job ends here by throwing Sleeping (let it through), and comes again after the delay. That is
   * no failed attempt. Then steps that are done are not done again, and this returns at once. Sleeps are known by their order, so
   * a job comes to the same ones each time.
   */
  sleep(delay: Delay): void {
    this.#sleeps += 1;
    if (!this.#slept.has(this.#sleeps)) throw new Sleeping("sleeping", { n: this.#sleeps, delay: seconds(delay) });
  }

  /**
   * Waits for a signal (`app.signal`) without a worker, as `sleep` does: its payload, or undefined when none came in the time. Each
   * signal is received once, in the order in which they were sent; one that was sent before is received, too.
   */
  waitFor(signal: string, timeout: Delay): any {
    const n = (this.#waits.get(signal) ?? 0) + 1;
    this.#waits.set(signal, n);
    const key = `${signal}:${n}`;
    if (!this.#received.has(key)) throw new Sleeping("waiting", { signal, n, timeout: seconds(timeout) });
    return this.#received.get(key);
  }

  async #keep(kind: "steps" | "cursor", what: string, value: Json, said: (value: Json) => Record<string, unknown>): Promise<any> {
    const encoded = encode(value, what);
    const size = Buffer.byteLength(encoded);
    if (size > RESULT_LIMIT) throw new Discard(`${what} has ${size} bytes: at most ${RESULT_LIMIT} are kept`);
    // as a retry will get it
    const kept: Json = JSON.parse(encoded);
    const refused = await this.record(kind, said(kept));
    if (refused !== undefined) throw new Discard(refused);
    return kept;
  }

  /** Why the job should stop, where it should. */
  get cancelled(): StopReason | undefined {
    return this.why;
  }
}
