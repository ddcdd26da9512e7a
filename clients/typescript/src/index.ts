/** Jobs of a Gristmill queue: enqueue them, run them, and have their effects exactly once. */
export {
  Flow,
  Gristmill,
  Group,
  type Change,
  type FlowOptions,
  type GristmillOptions,
  type GroupOptions,
  type Handler,
  type JobOptions,
  type Member,
  type RunOptions,
  type Stage,
} from "./app.js";
export { Context, type LogLevel, type StopReason, type Tick } from "./context.js";
export { AlreadyDone, ApiError, Discard, JobFailed, Refused, Retry, Sleeping, Snooze, Unreachable, WaitTimeout } from "./errors.js";
export type { BackoffOption, Delay, Json, NewJob, Options } from "./options.js";
export { completeIn, enqueueIn, enqueueManyIn, type PgClient } from "./sql.js";
