/** What can be said of a job when it is enqueued, and how that is written. */

/** What `JSON.stringify` writes, without NUL characters. */
export type Json = unknown;

/** Seconds, or text such as "90s", "5m", "2h", "7d". */
export type Delay = number | string;

/** How long a job waits after a failed attempt: as long each time, or twice as long each time up to a limit, an hour unless given. */
export type BackoffOption = { type: "fixed"; delay: Delay } | { type: "exponential"; delay: Delay; limit?: Delay };

/** All are optional; what is left out is as the queue has it. */
export interface Options {
  /** The queue it waits in: the job's own where it is registered, else "default". */
  queue?: string;
  /** How long after `runAt`, or after now, it may start. */
  delay?: Delay;
  /** When it may start. */
  runAt?: Date;
  /** 0 is the most urgent, 9 the least. */
  priority?: number;
  /** Failed attempts until it is dead. */
  maxAttempts?: number;
  /** How long one attempt may take. */
  timeout?: Delay;
  /** How long to wait between attempts: in place of the worker's. */
  backoff?: BackoffOption;
  /** A job that has not started so long after it was due is cancelled. */
  expiresIn?: Delay;
  /** While a job with this key waits, no other is taken. */
  uniqueKey?: string;
  /** What it does to the job that waits with its unique key: nothing, take its place, or put it off, too. */
  uniqueMode?: "keep" | "replace" | "debounce";
  /** Jobs with this key run one at a time, in the order in which they were enqueued. */
  orderKey?: string;
  /** Jobs of a queue take turns by this key. */
  fairKey?: string;
  /** The id of the open group that it is a member of. */
  group?: string;
  /** Words to find it by. */
  tags?: readonly string[];
  /** How long it is kept when it has ended. */
  retain?: Delay;
}

/** A job to be enqueued, by `enqueueMany`. */
export interface NewJob extends Options {
  name: string;
  payload?: Json;
}

const UNITS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 };
const WIRE: Record<keyof Options, string> = {
  queue: "queue",
  delay: "delay",
  runAt: "run_at",
  priority: "priority",
  maxAttempts: "max_attempts",
  timeout: "timeout",
  backoff: "backoff",
  expiresIn: "expires_in",
  uniqueKey: "unique_key",
  uniqueMode: "unique_mode",
  orderKey: "order_key",
  fairKey: "fair_key",
  group: "group",
  tags: "tags",
  retain: "retain",
};
const DURATIONS = new Set(["delay", "timeout", "expires_in", "retain"]);

/** A delay in seconds. Throws for what is none. */
export function seconds(delay: Delay): number {
  let found = Number.NaN;
  if (typeof delay === "number") {
    found = delay;
  } else {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(delay);
    if (match) found = Number(match[1]) * (UNITS[match[2] ?? ""] ?? Number.NaN);
  }
  if (!(found >= 0 && found < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`${JSON.stringify(delay)} is no duration: write seconds, or a number and ms, s, m, h or d, such as "5m"`);
  }
  return found;
}

/** `value` as JSON that Postgres stores. Throws with `what` in its text. */
export function encode(value: Json, what: string): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new TypeError(`${what} is no JSON: ${(error as Error).message}`, { cause: error });
  }
  if (text === undefined) throw new TypeError(`${what} is no JSON: it is a ${typeof value}`);
  // an escaped backslash before it means that it is no NUL
  if (/(?<!\\)(?:\\\\)*\\u0000/.test(text)) {
    throw new RangeError(`${what} has a NUL character (\\u0000), which Postgres cannot store: leave it out, or encode it`);
  }
  return text;
}

/** Options as the wire has them. Throws for an unknown one, and for a value that cannot be. */
export function plain(options: Options): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [option, value] of Object.entries(options)) {
    const name = WIRE[option as keyof Options];
    if (name === undefined) throw new TypeError(`no option is called ${option}: there are ${Object.keys(WIRE).join(", ")}`);
    if (value === undefined) continue;
    if (DURATIONS.has(name)) found[name] = seconds(value as Delay);
    else if (name === "backoff") found[name] = written(value as BackoffOption);
    else found[name] = value instanceof Date ? value.toISOString() : value;
  }
  return found;
}

function written(backoff: BackoffOption): Record<string, unknown> {
  const { type, ...times } = backoff;
  const known = { fixed: ["delay"], exponential: ["delay", "limit"] }[type];
  if (!known || times.delay === undefined || Object.keys(times).some((name) => !known.includes(name))) {
    throw new TypeError(
      `${JSON.stringify(backoff)} is no backoff: write such as { type: "fixed", delay: "5s" } or { type: "exponential", delay: "1s", limit: "10m" }`,
    );
  }
  const found: Record<string, unknown> = { type };
  for (const [name, time] of Object.entries(times)) if (time !== undefined) found[`${name}_ms`] = Math.round(seconds(time) * 1000);
  return found;
}

/** A job as JSON on one line. */
export function line({ name, payload, ...options }: NewJob, defaults: Options = {}): string {
  const job = encode({ name, ...plain({ ...defaults, ...options }) }, `job ${name}`);
  return `${job.slice(0, -1)},"payload":${encode(payload ?? {}, `the payload of ${name}`)}}`;
}
