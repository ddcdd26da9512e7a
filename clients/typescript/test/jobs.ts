/** A worker process of the tests: its jobs write what they do into the table `effects`. */
import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { Gristmill, completeIn } from "../src/index.js";

const env = (name: string): string => process.env[name] ?? "";
const pool = new pg.Pool({ connectionString: env("DATABASE_URL") });
const app = new Gristmill({ url: env("GRISTMILL_API"), key: env("GRISTMILL_KEY") });

app.job<{ n: number }>("pay", { queue: env("PAY_QUEUE") || "pay" }, async (context, { n }) => {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query("insert into effects (n, by) values ($1, $2)", [n, process.pid]);
    await sleep(Math.random() * 200);
    await completeIn(client, context, { paid: n });
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
});

app.job<{ n: number; first: number }>("hold", { queue: env("HOLD_QUEUE") || "hold" }, async (context, { n, first }) => {
  await pool.query("insert into effects (n, by) values ($1, $2)", [n, process.pid]);
  if (env("ROLE") === "first") await sleep(first);
  return { by: process.pid, attempt: context.attempt };
});

app.job<{ n: number; first: number }>("stepped", { queue: env("STEP_QUEUE") || "stepped" }, async (context, { n, first }) => {
  const chargedBy = await context.step("charge", async () => {
    await pool.query("insert into effects (n, by) values ($1, $2)", [n, process.pid]);
    return process.pid;
  });
  if (context.cursor === undefined) await context.saveCursor([n]);
  if (env("ROLE") === "first") await sleep(first);
  return { chargedBy, by: process.pid, cursor: context.cursor };
});

await app.run({ slots: 4, grace: 0.5 });
process.exit(0);
