/** Enqueue, and complete, in a transaction of your own: by `pg`, or by whatever has its `query(text, values)`. */
import type { Context } from "./context.js";
import { AlreadyDone } from "./errors.js";
import { encode, line, plain, type Json, type NewJob, type Options } from "./options.js";

/** What a client of `pg` has of it. Take one from the pool (`pool.connect()`): a pool itself knows no transaction. */
export interface PgClient {
  query(text: string, values: unknown[]): Promise<{ rows: any[] }>;
}

interface InSchema {
  /** The queue's schema; "gristmill" unless it was given another one. */
  schema?: string;
}

// how the function's argument of the same name is written
const WRITTEN: Record<string, (n: number) => string> = {
  delay: (n) => `make_interval(secs => $${n})`,
  run_at: (n) => `$${n}::timestamptz`,
  timeout: (n) => `make_interval(secs => $${n})`,
  backoff: (n) => `$${n}::jsonb`,
  expires_in: (n) => `make_interval(secs => $${n})`,
  group: (n) => `$${n}::uuid`,
  tags: (n) => `$${n}::text[]`,
  retain: (n) => `make_interval(secs => $${n})`,
};

/**
 * Enqueues a job in the transaction of `client`: it exists if and when that commits, and starts milliseconds later.
 * The id of the job; null where `uniqueKey` was taken, so that no job was made.
 */
export async function enqueueIn(
  client: PgClient,
  name: string,
  payload: Json = {},
  { schema, ...options }: Options & InSchema = {},
): Promise<string | null> {
  const values: unknown[] = [name, encode(payload, `the payload of ${name}`)];
  const args = ['"name" => $1', '"payload" => $2::jsonb'];
  for (const [option, value] of Object.entries(plain(options))) {
    const write = WRITTEN[option] ?? ((n: number) => `$${n}`);
    args.push(`"${option}" => ${write(values.push(option === "backoff" ? JSON.stringify(value) : value))}`);
  }
  const { rows } = await client.query(`select ${quoted(schema)}.enqueue(${args.join(", ")}) as id`, values);
  return rows[0].id;
}

/** Enqueues jobs in the transaction of `client`, by one statement. Their ids, in order; null where a key was taken. */
export async function enqueueManyIn(
  client: PgClient,
  jobs: Iterable<NewJob>,
  { schema }: InSchema = {},
): Promise<(string | null)[]> {
  const values = [`[${Array.from(jobs, (job) => line(job)).join(",")}]`];
  const { rows } = await client.query(
    `select given.id from generate_series(1, jsonb_array_length($1::jsonb)) as n
     left join ${quoted(schema)}.enqueue_many($1::jsonb) as given using (n) order by n`,
    values,
  );
  return rows.map((row) => row.id);
}

/**
 * Completes a job in the transaction of `client`, so that what else the transaction does happens exactly once. Throws
 * AlreadyDone where another run was first: let it through, so that your transaction is rolled back. Best called first in
 * the transaction: it locks the job's row, so that two runs never work at the same time.
 */
export async function completeIn(
  client: PgClient,
  job: Context | string,
  result?: Json,
  { schema }: InSchema = {},
): Promise<void> {
  const id = typeof job === "string" ? job : job.id;
  const values = [id, result === undefined ? null : encode(result, `the result of job ${id}`)];
  const { rows } = await client.query(`select ${quoted(schema)}.complete($1::uuid, $2::jsonb) as done`, values);
  if (!rows[0].done) {
    throw new AlreadyDone(`job ${id} is no longer to be done: another run has completed it, or it was cancelled`);
  }
  if (typeof job !== "string") job.completedIn = true;
}

function quoted(schema = "gristmill"): string {
  return `"${schema.replaceAll('"', '""')}"`;
}
