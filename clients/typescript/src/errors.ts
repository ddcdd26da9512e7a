/** What can go wrong, and how a job says how its attempt ends. */
import type { Delay } from "./options.js";

/** The API did not answer: the request may or may not have had its effect. */
export class Unreachable extends Error {
  override name = "Unreachable";
}

/** The API answered with an error. */
export class ApiError extends Error {
  override name = "ApiError";

  constructor(
    method: string,
    path: string,
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly errors: { field: string; detail: string }[],
  ) {
    const fields = errors.map((it) => `${it.field}: ${it.detail}`).join("; ");
    super(`${method} ${path}: ${status} ${title}: ${detail}${fields && ` (${fields})`}`);
  }
}

/** The API will never take this request (a status of 400 to 499): change it, or the key. */
export class Refused extends ApiError {
  override name = "Refused";
}

/** The job that was waited for has ended without success. */
export class JobFailed extends Error {
  override name = "JobFailed";

  constructor(
    readonly job: string,
    readonly state: string,
    readonly error: string | null,
  ) {
    super(`job ${job} is ${state}: ${error ?? "no error is recorded"}`);
  }
}

/** The job that was waited for has not ended in time; it goes on. */
export class WaitTimeout extends Error {
  override name = "WaitTimeout";
}

/** Throw it in a job: this attempt has failed, try again. `after`: seconds, or the queue's backoff where it is left out. */
export class Retry extends Error {
  override name = "Retry";
  readonly after: Delay | undefined;

  constructor(message = "to be tried again", options: { after?: Delay; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.after = options.after;
  }
}

/** Throw it in a job: it can never succeed, so it is dead at once, whatever attempts it has left. */
export class Discard extends Error {
  override name = "Discard";
}

/** Throw it in a job: run it again later. That is no failed attempt. */
export class Snooze extends Error {
  override name = "Snooze";

  constructor(readonly delay: Delay) {
    super(`snoozed for ${delay}`);
  }
}

/** Thrown by `context.sleep` and `context.waitFor`: the job comes again later. Let it through: what catches it throws it again. */
export class Sleeping extends Error {
  override name = "Sleeping";

  constructor(
    readonly kind: "sleeping" | "waiting",
    readonly said: Record<string, unknown>,
  ) {
    super(`the job is ${kind}: let this through, it comes again`);
  }
}

/** Thrown by `completeIn`: another run has completed the job, or it was cancelled. Roll back, and let it through. */
export class AlreadyDone extends Error {
  override name = "AlreadyDone";
}
