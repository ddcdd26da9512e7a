/** An application: its jobs, and what enqueues and runs them. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { Api, Backoff } from "./api.js";
import type { Context } from "./context.js";
import { JobFailed, WaitTimeout } from "./errors.js";
import { encode, line, plain, seconds, type Delay, type Json, type NewJob, type Options } from "./options.js";
import { Worker } from "./worker.js";

const BATCH_SIZE = 10_000;
const BATCH_BYTES = 1_000_000;
const ENDED = ["dead", "cancelled", "parked"];

export interface GristmillOptions {
  /** Such as http://127.0.0.1:8080. */
  url: string;
  /** An API key. */
  key: string;
  /** For how many seconds requests are sent again while the API is away (30); a worker goes on for ever. */
  patience?: number;
}

export interface JobOptions<T> {
  /** The queue it waits in: "default". */
  queue?: string;
  /** How long one attempt may take: 60 s. */
  timeout?: Delay;
  /** Failed attempts until it is dead: as the queue has it. */
  maxAttempts?: number;
  /** The pause after the n-th failed attempt: the queue's. */
  backoff?: (attempt: number) => Delay;
  /** Makes something of the payload, or throws what is wrong with it; such as a schema's `parse` of zod. */
  parse?: (payload: unknown) => T;
}

/** What it resolves to is the job's result (JSON, at most 16 KiB); undefined and null record nothing. */
export type Handler<T> = (context: Context, payload: T) => Promise<Json> | Json;

/** @internal */
export interface Registered {
  name: string;
  queue: string;
  timeout: number;
  maxAttempts: number | undefined;
  backoff: ((attempt: number) => Delay) | undefined;
  parse: ((payload: unknown) => unknown) | undefined;
  run: (context: Context, payload: any) => Promise<Json> | Json;
}

export interface RunOptions {
  /** How many at a time, for each queue of its jobs, or by queue: 8. */
  slots?: number | Record<string, number>;
  /** Seconds that running jobs have to end after a signal (20); the rest is handed back and runs elsewhere at once. */
  grace?: number;
  /** Names the worker in lists; the host's name unless given. */
  label?: string;
}

export interface GroupOptions {
  name?: string;
  /** Enqueued once the group is sealed and its last member has ended (with its queue, priority and maxAttempts), … */
  onComplete?: NewJob;
  /** … or this, where a member has failed: one of them, once. */
  onFailure?: NewJob;
  /** The first failure stops the other members. */
  failFast?: boolean;
  /** The group that it is a member of. */
  parent?: Group;
}

/** Jobs of a flow that begin together, when all stages that they wait for have ended. */
export interface Stage {
  /** No two of a flow are called the same. */
  name: string;
  /** Without `group` and `uniqueKey`; a `delay` counts from when the stage begins. */
  jobs: Iterable<NewJob>;
  /** The names of the stages that it waits for. */
  after?: readonly string[];
  /** When one of these has failed: it is cancelled ("cancel", unless given), or begins all the same. */
  afterFailure?: "cancel" | "continue";
  /** The first failure stops the other jobs of the stage. */
  failFast?: boolean;
}

export interface FlowOptions {
  name?: string;
  /** Enqueued when all stages have ended, … */
  onComplete?: NewJob;
  /** … or this, where one has failed. */
  onFailure?: NewJob;
}

/** What came before a job. */
export interface Member {
  id: string;
  name: string;
  state: string;
  result: any;
}

/** What a job that waits is to be from now on; what is left out stays. */
export interface Change extends Pick<Options, "queue" | "priority" | "maxAttempts" | "runAt" | "timeout" | "tags"> {
  payload?: Json;
}

/** An application that enqueues jobs through an API of Gristmill, and runs them. */
export class Gristmill {
  readonly #api: Api;
  readonly #url: string;
  readonly #jobs = new Map<string, Registered>();
  #worker: Worker | undefined;

  constructor({ url, key, patience = 30 }: GristmillOptions) {
    this.#api = new Api(url, key, patience);
    this.#url = url;
  }

  /** Registers a function as the job `name`: it is called with its context and the payload. */
  job<T = any>(name: string, options: JobOptions<T>, run: Handler<T>): this {
    if (this.#jobs.has(name)) throw new RangeError(`two jobs are called ${name}`);
    const { queue = "default", timeout = 60, maxAttempts, backoff, parse } = options;
    this.#jobs.set(name, { name, queue, timeout: seconds(timeout), maxAttempts, backoff, parse, run });
    return this;
  }

  /** @internal What a job's registration says to its enqueue. */
  defaults(name: string): Options {
    const job = this.#jobs.get(name);
    if (!job) return {};
    return { queue: job.queue, ...(job.maxAttempts === undefined ? {} : { maxAttempts: job.maxAttempts }) };
  }

  /** Enqueues a job: its id, or with a `uniqueKey` that is taken the id of the job that has it. */
  async enqueue(name: string, payload: Json = {}, options: Options = {}): Promise<string> {
    const body = line({ ...options, name, payload }, this.defaults(name));
    const { id, existing } = await this.post("/v1/jobs", body);
    return id ?? existing;
  }

  /** Enqueues any number of jobs: their ids, in order; where a `uniqueKey` is taken, of the job that has it. Each 10,000 (or 1 MB) are one request and one transaction. */
  async enqueueMany(jobs: Iterable<NewJob>): Promise<string[]> {
    const ids: string[] = [];
    let [held, size] = [[] as string[], 0];
    const send = async (): Promise<void> => {
      if (held.length === 0) return;
      const answer = await this.post("/v1/jobs/batch", `${held.join("\n")}\n`, "application/x-ndjson");
      for (const id of answer.ids) ids.push(id);
      [held, size] = [[], 0];
    };
    for (const job of jobs) {
      const text = line(job, this.defaults(job.name));
      if (held.length === BATCH_SIZE || size + text.length > BATCH_BYTES) await send();
      held.push(text);
      size += text.length;
    }
    await send();
    return ids;
  }

  /** Opens a group; seal it when it has all its members. */
  async group({ name, onComplete, onFailure, failFast = false, parent }: GroupOptions = {}): Promise<Group> {
    const join = (job: NewJob | undefined): unknown => job && JSON.parse(line(job, this.defaults(job.name)));
    const said = {
      name,
      policy: failFast ? "fail_fast" : "continue",
      on_complete: join(onComplete),
      on_failure: join(onFailure),
      parent: parent?.id,
    };
    const { id } = await this.post("/v1/groups", encode(said, "the group"));
    return new Group(this, id);
  }

  /** Enqueues stages of jobs that wait for each other, in one transaction: a chain, or any graph without a circle. */
  async flow(stages: Iterable<Stage>, { name, onComplete, onFailure }: FlowOptions = {}): Promise<Flow> {
    const wire = (job: NewJob): unknown => JSON.parse(line(job, this.defaults(job.name)));
    const said = {
      name,
      on_complete: onComplete && wire(onComplete),
      on_failure: onFailure && wire(onFailure),
      stages: Array.from(stages, ({ name, jobs, after = [], afterFailure = "cancel", failFast = false }) => ({
        name,
        after,
        after_failure: afterFailure,
        policy: failFast ? "fail_fast" : "continue",
        jobs: Array.from(jobs, wire),
      })),
    };
    return new Flow(this, await this.post("/v1/flows", encode(said, "the flow")));
  }

  /**
   * What the jobs before a job came to: of a job of a flow those of the stages that it waited for, or of the one of this name; of
   * a join its members. Asks for a thousand at a time.
   */
  async *members(id: string, stage?: string): AsyncGenerator<Member> {
    const query = new URLSearchParams({ limit: "1000", ...(stage === undefined ? {} : { stage }) });
    for (;;) {
      const { items } = await this.#api.call("GET", `/v1/jobs/${encodeURIComponent(id)}/members?${query}`);
      yield* items;
      if (items.length < 1000) return;
      query.set("after", items.at(-1).id);
    }
  }

  /** Changes a job that waits (one that is scheduled, dead, parked or cancelled): the job as it is then. */
  async change(id: string, { payload, ...options }: Change): Promise<any> {
    const body = encode({ ...plain(options), payload }, "the change");
    return await this.#api.call("PATCH", `/v1/jobs/${encodeURIComponent(id)}`, { body });
  }

  /** Runs a scheduled job now. */
  async promote(id: string): Promise<void> {
    await this.post(`/v1/jobs/${encodeURIComponent(id)}/promote`);
  }

  /** Runs a job again that is dead, parked or cancelled, with another payload where there is one. */
  async retry(id: string, payload?: Json): Promise<void> {
    const body = payload === undefined ? undefined : encode({ payload }, "the payload");
    await this.post(`/v1/jobs/${encodeURIComponent(id)}/redrive`, body);
  }

  /** Everything about a job: state, result, attempts, group, … Throws Refused where there is none. */
  async get(id: string): Promise<any> {
    return await this.#api.call("GET", `/v1/jobs/${encodeURIComponent(id)}`);
  }

  /** @internal */
  async getGroup(id: string): Promise<any> {
    return await this.#api.call("GET", `/v1/groups/${encodeURIComponent(id)}`);
  }

  /** The result of a job, once it is completed. Throws JobFailed where it ends otherwise, WaitTimeout in its time. */
  async wait(id: string, timeout: Delay = 60): Promise<any> {
    const until = performance.now() + seconds(timeout) * 1000;
    const backoff = new Backoff(1);
    for (;;) {
      const job = await this.get(id);
      if (job.state === "completed") return job.result;
      if (ENDED.includes(job.state)) throw new JobFailed(id, job.state, job.last_error ?? null);
      const pause = backoff.pause();
      if (performance.now() + pause > until) throw new WaitTimeout(`job ${id} is ${job.state} after ${timeout} of waiting`);
      await sleep(pause);
    }
  }

  /** Cancels a job: one that waits never runs, one that runs is asked to stop. */
  async cancel(id: string): Promise<void> {
    await this.post(`/v1/jobs/${encodeURIComponent(id)}/cancel`);
  }

  /** Sends a job a signal: its next `context.waitFor` of this name receives it, once. Throws Refused where the job has ended. */
  async signal(id: string, name: string, payload: Json = null): Promise<void> {
    const path = `/v1/jobs/${encodeURIComponent(id)}/signals/${encodeURIComponent(name)}`;
    await this.post(path, encode({ payload }, `the signal ${name}`));
  }

  /** What the attempts of a job have said: `[{ attempt, dropped, lines: [{ at, level, message }, …] }, …]`. */
  async logs(id: string): Promise<any[]> {
    return (await this.#api.call("GET", `/v1/jobs/${encodeURIComponent(id)}/logs`)).items;
  }

  /** @internal */
  async post(path: string, body?: string, kind?: string): Promise<any> {
    const headers = { "idempotency-key": randomUUID() };
    return await this.#api.call("POST", path, {
      headers,
      ...(body === undefined ? {} : { body }),
      ...(kind === undefined ? {} : { kind }),
    });
  }

  /** Runs this application's jobs until SIGTERM or SIGINT. */
  async run({ slots = 8, grace = 20, label = "" }: RunOptions = {}): Promise<void> {
    this.#worker = new Worker(this.#url, this.#api.key, this.#jobs, slots, grace, label);
    await this.#worker.run();
  }

  /** Stops `run` as SIGTERM does. */
  stop(): void {
    this.#worker?.stop();
  }
}

/** A flow that was enqueued: a group, and the ids of the jobs of each stage. */
export class Flow {
  readonly id: string;
  readonly jobs: Record<string, string[]>;

  /** @internal */
  constructor(
    readonly app: Gristmill,
    answer: { id: string; stages: { name: string; jobs: string[] }[] },
  ) {
    this.id = answer.id;
    this.jobs = Object.fromEntries(answer.stages.map(({ name, jobs }) => [name, jobs]));
  }

  /** Its state, and its `stages` with theirs. */
  async get(): Promise<any> {
    return await this.app.getGroup(this.id);
  }

  /** Cancels it and everything in it. */
  async cancel(): Promise<void> {
    await this.app.post(`/v1/groups/${this.id}/cancel`);
  }
}

/** An open group of jobs. */
export class Group {
  /** @internal */
  constructor(
    readonly app: Gristmill,
    readonly id: string,
  ) {}

  /** Enqueues a member. */
  async enqueue(name: string, payload: Json = {}, options: Options = {}): Promise<string> {
    return await this.app.enqueue(name, payload, { ...options, group: this.id });
  }

  /** Enqueues any number of members. */
  async enqueueMany(jobs: Iterable<NewJob>): Promise<string[]> {
    const { id } = this;
    function* members(): Iterable<NewJob> {
      for (const job of jobs) yield { ...job, group: id };
    }
    return await this.app.enqueueMany(members());
  }

  /** Says that there are no more members: with the last one's end the group ends. */
  async seal(): Promise<void> {
    await this.app.post(`/v1/groups/${this.id}/seal`);
  }

  /** Cancels the group and everything in it. */
  async cancel(): Promise<void> {
    await this.app.post(`/v1/groups/${this.id}/cancel`);
  }

  /** Its counts and state. */
  async get(): Promise<any> {
    return await this.app.getGroup(this.id);
  }
}
