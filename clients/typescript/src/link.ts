/**
 * The thread of a worker that talks to the API: it claims, renews and reports, so that no job's code delays a heartbeat. It
 * also keeps the time limits, which a busy main thread could not.
 */
import { parentPort, workerData } from "node:worker_threads";
import { setTimeout as sleep } from "node:timers/promises";

import { Api, Backoff } from "./api.js";
import type { Delivery, StopReason } from "./context.js";
import { ApiError, Refused, Unreachable } from "./errors.js";

/** What the thread is started with. */
export interface LinkData {
  url: string;
  key: string;
  about: Record<string, unknown>;
  slots: Record<string, number>;
  /** Seconds that one attempt may take, by job. */
  timeouts: Record<string, number>;
}
export type Key = `${string} ${number}`;
/** How a job ended: which list of a report, and what stands there beside its id. */
export type Ending = { kind: "done" | "failed" | "snoozed" | "sleeping" | "waiting" | "released"; said: Record<string, unknown> };
/** A line of an attempt's log. */
export type Line = { at: string; level: string; message: string };
export type ToLink =
  | { type: "ended"; key: Key; ending: Ending | null }
  | { type: "progress"; key: Key; done: number; total: number }
  | { type: "log"; key: Key; line: Line }
  | { type: "stop" }
  | { type: "hand back" }
  | { type: "leave" };
export type FromLink =
  | { type: "start"; deliveries: Delivery[] }
  | { type: "cancel"; key: Key; why: StopReason }
  | { type: "fault"; message: string; problem: ConstructorParameters<typeof ApiError> | null }
  | { type: "claims ended" }
  | { type: "left" };

/** How long a claim waits for a job, in milliseconds. */
const WAIT = 20_000;
/** How long a job that was told to stop is waited for, in milliseconds. */
const ABANDONED = 5_000;
const REPORT_BYTES = 1_000_000;
const REPORT_SIZE = 2_000;
const REPORT_LINES = 1_000;
/** Lines of one attempt that wait for the next report: the last ones. */
const LOG_LINES = 500;
const MAX_CLAIM = 500;

interface Held {
  id: string;
  delivery: number;
  queue: string;
  deadline: number;
  timeout: number;
  why?: StopReason;
  settled: boolean;
  progress?: [number, number];
  lines: Line[];
  dropped: number;
}

const { url, key, about, slots, timeouts } = workerData as LinkData;
const port = parentPort;
if (!port) throw new Error("link.js is a thread of a worker, not a program");
const api = new Api(url, key, 0);
const held = new Map<Key, Held>();
const busy = new Map<string, number>(Object.keys(slots).map((queue) => [queue, 0]));
let outbox: { kind: string; entry: Record<string, unknown> }[] = [];
let lines: (Line & { id: string; delivery: number })[] = [];
let beatEvery = 2000;
let [stopping, leaving, drained] = [false, false, false];
const abortClaims = new AbortController();
let changed = signal();
let toReport = signal();

/** Something to wait for once. */
function signal(): { wait: Promise<void>; fire: () => void } {
  let fire = (): void => {};
  const wait = new Promise<void>((resolve) => {
    fire = resolve;
  });
  return { wait, fire };
}

function tell(message: FromLink): void {
  port?.postMessage(message);
}

function fault(error: Error): void {
  const problem = error instanceof ApiError;
  const [, method = "", path = ""] = /^(\S+) (\S+):/.exec(error.message) ?? [];
  tell({
    type: "fault",
    message: error.message,
    problem: problem ? [method, path, error.status, error.title, error.detail, error.errors] : null,
  });
}

function free(queue: string): void {
  busy.set(queue, (busy.get(queue) ?? 1) - 1);
  changed.fire();
  changed = signal();
}

/** What it has said goes with the next report. */
function takeLines(it: Held): void {
  const first = it.lines[0];
  if (first && it.dropped > 0) it.lines.unshift({ ...first, level: "warn", message: `${it.dropped} lines before these were dropped` });
  for (const line of it.lines) lines.push({ id: it.id, delivery: it.delivery, ...line });
  [it.lines, it.dropped] = [[], 0];
}

/** Says how it ended, once: the first one counts. */
function settle(held: Held, ending: Ending | null): void {
  if (held.settled) return;
  held.settled = true;
  takeLines(held);
  if (ending && held.why !== "lost") {
    outbox.push({ kind: ending.kind, entry: { id: held.id, delivery: held.delivery, ...ending.said } });
  }
  toReport.fire();
}

function cancel(key: Key, it: Held, why: StopReason): void {
  if (it.why) return;
  it.why = why;
  it.deadline = performance.now() + ABANDONED;
  tell({ type: "cancel", key, why });
}

async function claims(queue: string, count: number): Promise<void> {
  const backoff = { now: new Backoff() };
  while (!stopping) {
    const room = count - (busy.get(queue) ?? 0);
    if (room < 1) {
      await changed.wait;
      continue;
    }
    const body = JSON.stringify({ ...about, queues: { [queue]: Math.min(room, MAX_CLAIM) }, names: Object.keys(timeouts), wait_ms: WAIT });
    const begun = performance.now();
    try {
      const text = await api.request("POST", "/v1/work/claims", { body, timeout: WAIT + 10_000, signal: abortClaims.signal });
      const deliveries: Delivery[] = text.split("\n").filter(Boolean).map((it) => JSON.parse(it));
      for (const it of deliveries) {
        beatEvery = Math.min(beatEvery, it.lease_ms / 3);
        const timeout = it.timeout_ms ? it.timeout_ms / 1000 : (timeouts[it.name] ?? 60);
        const deadline = performance.now() + timeout * 1000;
        held.set(`${it.id} ${it.delivery}`, { id: it.id, delivery: it.delivery, queue, deadline, timeout, settled: false, lines: [], dropped: 0 });
        busy.set(queue, (busy.get(queue) ?? 0) + 1);
      }
      if (deliveries.length > 0) tell({ type: "start", deliveries });
      else if (performance.now() - begun < 1000) await sleep(500);
      backoff.now = new Backoff();
    } catch (error) {
      if (error instanceof Refused) {
        fault(error);
        return;
      }
      if (stopping) return;
      console.warn(`gristmill: claims for queue ${queue}: ${(error as Error).message}`);
      await Promise.race([sleep(backoff.now.pause()), changed.wait]);
    }
  }
}

/** The time limits. */
function watch(): void {
  const now = performance.now();
  for (const [key, it] of held) {
    if (it.settled || it.deadline > now) continue;
    if (!it.why) cancel(key, it, "timed out");
    else if (it.why === "timed out") settle(it, { kind: "failed", said: { error: `timed out after ${it.timeout} s` } });
    else if (it.why === "cancelled") settle(it, { kind: "failed", said: { error: "did not stop in time", cancelled: true } });
    else settle(it, { kind: "released", said: {} });
  }
}

/** Heartbeat, renewal, and how jobs ended; what was not received is sent again. */
async function reports(): Promise<void> {
  let [nextBeat, giveUp, backoff] = [0, Number.POSITIVE_INFINITY, new Backoff(2)];
  for (;;) {
    await Promise.race([toReport.wait, sleep(Math.max(0, nextBeat - performance.now()))]);
    toReport = signal();
    if (leaving) giveUp = Math.min(giveUp, performance.now() + 5000);
    const beat = performance.now() >= nextBeat;
    const { body, sent, said } = report(beat);
    if (sent.length > 0 || said.length > 0 || beat || leaving) {
      try {
        heed(JSON.parse(await api.request("POST", "/v1/work/reports", { body, timeout: 10_000 })));
        backoff = new Backoff(2);
        if (beat) nextBeat = performance.now() + beatEvery;
      } catch (error) {
        if (error instanceof Refused) {
          if (error.status === 401 || error.status === 403) fault(error);
          console.error(`gristmill: a report was refused, and these ends of jobs with it: ${body}: ${error.message}`);
        } else if (error instanceof ApiError || error instanceof Unreachable || error instanceof SyntaxError) {
          outbox = [...sent, ...outbox];
          lines = [...said, ...lines];
          if (performance.now() > giveUp) {
            console.error(`gristmill: ${sent.length} ends of jobs could not be reported; they run again: ${error.message}`);
            return;
          }
          console.warn(`gristmill: report: ${error.message}`);
          await sleep(backoff.pause());
        } else {
          throw error;
        }
      }
    }
    if (outbox.length > 0 || lines.length > 0) toReport.fire();
    else if (leaving) return;
  }
}

function report(beat: boolean): { body: string; sent: typeof outbox; said: typeof lines } {
  let [size, count] = [0, 0];
  for (const { entry } of outbox) {
    size += JSON.stringify(entry).length;
    if (count === REPORT_SIZE || (count > 0 && size > REPORT_BYTES)) break;
    count += 1;
  }
  const sent = outbox.splice(0, count);
  const running = beat ? [...held.values()].filter((it) => !it.settled) : [];
  running.forEach(takeLines);
  const logs = lines.splice(0, REPORT_LINES);
  // lines are taken of what the report speaks of
  const spoken = new Map([...running, ...logs].map((it) => [`${it.id} ${it.delivery}`, [it.id, it.delivery]]));
  const said: Record<string, unknown> = { ...about, held: [...spoken.values()] };
  if (logs.length > 0) said["logs"] = logs;
  for (const { kind, entry } of sent) {
    ((said[kind] ??= []) as unknown[]).push(kind === "released" ? [entry["id"], entry["delivery"]] : entry);
  }
  const progress = running.flatMap(({ id, delivery, progress: it }) => (it ? [{ id, delivery, done: it[0], total: it[1] }] : []));
  if (progress.length > 0) said["progress"] = progress;
  if (leaving && outbox.length === 0 && lines.length === 0) said["leaving"] = true;
  return { body: JSON.stringify(said), sent, said: logs };
}

function heed(answer: { lost?: string[]; cancel?: string[]; drain?: boolean; refused?: unknown[] }): void {
  const [lost, cancelled] = [new Set(answer.lost), new Set(answer.cancel)];
  if (lost.size > 0 || cancelled.size > 0) {
    for (const [key, it] of held) {
      if (it.settled) continue;
      if (lost.has(it.id)) {
        cancel(key, it, "lost");
        it.why = "lost";
        settle(it, null);
      } else if (cancelled.has(it.id)) {
        cancel(key, it, "cancelled");
      }
    }
  }
  for (const it of answer.refused ?? []) console.error(`gristmill: a result was refused, so its attempt has failed: ${JSON.stringify(it)}`);
  if (answer.drain && !drained) console.info("gristmill: the worker is drained: it is given no more jobs");
  drained = answer.drain ?? false;
}

port.on("message", (message: ToLink) => {
  if (message.type === "ended") {
    const it = held.get(message.key);
    if (!it) return;
    settle(it, message.ending);
    held.delete(message.key);
    free(it.queue);
  } else if (message.type === "progress") {
    const it = held.get(message.key);
    if (it) it.progress = [message.done, message.total];
  } else if (message.type === "log") {
    const it = held.get(message.key);
    if (!it) return;
    it.lines.push(message.line);
    if (it.lines.length > LOG_LINES) [it.lines, it.dropped] = [it.lines.slice(1), it.dropped + 1];
  } else if (message.type === "stop") {
    stopping = true;
    changed.fire();
    // one that the server is just answering brings jobs to hand back; one that waits is given up
    setTimeout(() => abortClaims.abort(), 1000).unref();
  } else if (message.type === "hand back") {
    for (const [key, it] of held) if (!it.settled) cancel(key, it, "stopping");
    setTimeout(() => {
      for (const it of held.values()) settle(it, { kind: "released", said: {} });
    }, 1000);
  } else {
    leaving = true;
    toReport.fire();
  }
});

const watching = setInterval(watch, 100);
const reporting = reports();
void Promise.all(Object.entries(slots).map(([queue, count]) => claims(queue, count))).then(() => tell({ type: "claims ended" }));
await reporting;
clearInterval(watching);
tell({ type: "left" });
port.close();
