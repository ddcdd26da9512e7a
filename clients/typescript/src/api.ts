/** Requests to the API. */
import { setTimeout as sleep } from "node:timers/promises";

import { ApiError, Refused, Unreachable } from "./errors.js";

const AGAIN = new Set([408, 425, 429, 502, 503, 504]);

export interface Sent {
  body?: string;
  kind?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Milliseconds. */
  timeout?: number;
}

/** Pauses that grow: 0.1 s, doubled up to `longest` seconds, a random half of it. */
export class Backoff {
  #next = 0.1;

  constructor(readonly longest = 5) {}

  /** The next pause, in milliseconds. */
  pause(): number {
    const pause = this.#next;
    this.#next = Math.min(pause * 2, this.longest);
    return pause * 1000 * (0.5 + Math.random() / 2);
  }
}

/** The API. `patience`: for how many seconds `call` sends requests again that failed for a passing reason. */
export class Api {
  readonly #base: string;

  constructor(
    url: string,
    readonly key: string,
    readonly patience: number,
  ) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    if (parsed?.protocol !== "http:" && parsed?.protocol !== "https:") {
      throw new TypeError(`${JSON.stringify(url)} is no address of an API: write such as http://127.0.0.1:8080`);
    }
    this.#base = url.replace(/\/+$/, "");
  }

  /** The text of the answer, of any status below 400. Throws Unreachable, Refused or ApiError. */
  async request(method: string, path: string, { body, kind, headers, signal, timeout = 30_000 }: Sent = {}): Promise<string> {
    const limit = AbortSignal.timeout(timeout);
    const sent: RequestInit = {
      method,
      headers: {
        authorization: `Bearer ${this.key}`,
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": kind ?? "application/json" }),
        ...headers,
      },
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    };
    if (body !== undefined) sent.body = body;
    let answer: Response;
    let text: string;
    try {
      answer = await fetch(this.#base + path, sent);
      text = await answer.text();
    } catch (error) {
      const { message, cause } = error as Error;
      throw new Unreachable(`${method} ${path}: ${cause instanceof Error ? cause.message || message : message}`, { cause: error });
    }
    if (answer.status < 400) return text;
    let problem: { title?: string; detail?: string; errors?: { field: string; detail: string }[] } = {};
    try {
      problem = JSON.parse(text);
    } catch {
      problem = { detail: text.slice(0, 500) };
    }
    const Kind = answer.status < 500 && !AGAIN.has(answer.status) ? Refused : ApiError;
    throw new Kind(method, path, answer.status, problem.title ?? answer.statusText, problem.detail ?? "", problem.errors ?? []);
  }

  /** The JSON of the answer, undefined where it has none. Give an idempotency key with what may not happen twice. */
  async call(method: string, path: string, sent: Sent = {}): Promise<any> {
    const until = performance.now() + this.patience * 1000;
    const backoff = new Backoff();
    for (;;) {
      try {
        const text = await this.request(method, path, sent);
        return text === "" ? undefined : JSON.parse(text);
      } catch (error) {
        if (error instanceof Refused || !(error instanceof ApiError || error instanceof Unreachable)) throw error;
        const pause = backoff.pause();
        if (performance.now() + pause > until) throw error;
        await sleep(pause);
      }
    }
  }
}
