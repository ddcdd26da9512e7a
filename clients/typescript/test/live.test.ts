/** Against a real stack: see `stack.ts`. */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { AlreadyDone, Discard, Gristmill, JobFailed, Refused, Retry, Snooze, completeIn, enqueueIn, enqueueManyIn } from "../src/index.js";
import { Stack, end, eventually, freePort } from "./stack.js";

const stack = new Stack();
let pool: pg.Pool;

before(async () => {
  await stack.start();
  pool = new pg.Pool({ connectionString: stack.database });
  // the server may go before the pool's idle connections do
  pool.on("error", () => undefined);
  await pool.query("create table effects (n int not null, by int not null)");
});
after(async () => {
  await pool?.end();
  await stack.stop();
});
beforeEach(() => pool.query("truncate effects"));

async function running(app: Gristmill, during: () => Promise<unknown>, slots = 8): Promise<void> {
  const run = app.run({ slots });
  try {
    await during();
  } finally {
    app.stop();
    await run;
  }
}

/** How the attempts of a job ended that did not succeed; `lost_worker`: its lease ran out. */
async function outcomes(app: Gristmill, id: string): Promise<string[]> {
  return (await app.get(id)).attempts.map((it: any) => it.outcome);
}

const count = async (): Promise<number> => Number((await pool.query("select count(*) from effects")).rows[0].count);

test("a job runs and its result is kept", async () => {
  const app = stack.app();
  app.job<{ a: number; b: number }>("add", { queue: "ts-add" }, (context, { a, b }) => ({ sum: a + b, attempt: context.attempt }));
  const parse = (payload: unknown): number[] => (payload as string[]).map(Number);
  app.job("total", { queue: "ts-add", parse }, async (_, numbers) => numbers.reduce((sum, it) => sum + it, 0));
  await running(app, async () => {
    const first = await app.enqueue("add", { a: 1, b: 2 }, { priority: 0, tags: ["x"], fairKey: "k" });
    assert.deepEqual(await app.wait(first), { sum: 3, attempt: 1 });
    assert.equal(await app.wait(await app.enqueue("total", ["1", "2"])), 3);
    const job = await app.get(first);
    assert.deepEqual([job.name, job.queue, job.priority, job.fair_key], ["add", "ts-add", 0, "k"]);
  });
});

test("retry, discard and snooze", async () => {
  const app = stack.app();
  let snoozes = 0;
  app.job("flaky", { queue: "ts-ends", backoff: () => 0.05 }, ({ attempt }) => {
    if (attempt === 1) throw new Retry("not yet", { after: 0.05 });
    if (attempt === 2) throw new TypeError("away");
    return attempt;
  });
  app.job("hopeless", { queue: "ts-ends" }, () => {
    throw new Discard("no such order");
  });
  app.job("later", { queue: "ts-ends" }, ({ attempt }) => {
    snoozes += 1;
    if (snoozes === 1) throw new Snooze("100ms");
    return attempt;
  });
  app.job("slow", { queue: "ts-ends", timeout: 0.3, maxAttempts: 1 }, ({ signal }) => sleep(60_000, undefined, { signal }));
  app.job("large", { queue: "ts-ends", maxAttempts: 1 }, () => "x".repeat(20_000));
  await running(app, async () => {
    const flaky = await app.enqueue("flaky");
    assert.equal(await app.wait(flaky), 3);
    await assert.rejects(app.wait(await app.enqueue("hopeless")), (error) => error instanceof JobFailed && /no such order/.test(error.message));
    assert.equal(await app.wait(await app.enqueue("later")), 1, "a snooze is no attempt");
    await assert.rejects(app.wait(await app.enqueue("slow")), /timed out after 0.3 s/);
    await assert.rejects(app.wait(await app.enqueue("large")), /20002 bytes: at most 16384/);
    const { attempts } = await app.get(flaky);
    assert.deepEqual(await outcomes(app, flaky), ["retried", "retried"]);
    assert.match(attempts[1].error, /TypeError: away\n +at /);
  });
});

test("a running job is cancelled, heed it or not", async () => {
  const app = stack.app();
  let started = 0;
  app.job("heeds", { queue: "ts-cancel" }, ({ signal }) => {
    started += 1;
    return sleep(60_000, undefined, { signal });
  });
  app.job("deaf", { queue: "ts-cancel" }, () => {
    started += 1;
    return sleep(12_000);
  });
  await running(app, async () => {
    const ids = [await app.enqueue("heeds"), await app.enqueue("deaf")];
    await eventually(() => started === 2);
    for (const id of ids) await app.cancel(id);
    for (const id of ids) await assert.rejects(app.wait(id, 20), /is cancelled/);
  });
});

test("a job that has the only thread for longer than a lease keeps it", async () => {
  const app = stack.app();
  let runs = 0;
  app.job("hog", { queue: "ts-hog" }, async (context) => {
    runs += 1;
    context.progress(1, 2);
    const until = performance.now() + 9000;
    while (performance.now() < until);
    return context.attempt;
  });
  await running(app, async () => assert.equal(await app.wait(await app.enqueue("hog")), 1));
  assert.equal(runs, 1);
});

test("what a job says is kept with its attempt", async () => {
  const app = stack.app();
  app.job<{ lines: number }>("talk", { queue: "ts-logs", backoff: () => 0 }, (context, { lines }) => {
    for (let n = 0; n < lines; n += 1) context.log(`line ${n}`);
    context.log("not \0 well", "warn");
    if (context.attempt === 1) throw new TypeError("away");
  });
  await running(app, async () => {
    const ids = [await app.enqueue("talk", { lines: 2 }), await app.enqueue("talk", { lines: 700 })];
    for (const id of ids) await app.wait(id);
    const [first, many] = await Promise.all(ids.map(async (id) => (await app.logs(id)).map((it) => it.lines.map((line: any) => line.message))));
    const lines = ["line 0", "line 1", "not \\0 well"];
    assert.deepEqual(first, [lines, lines]);
    assert.deepEqual([many?.[0].length, many?.[0].at(-1)], [500, "not \\0 well"]);
  });
});

test("a job sleeps and waits without a worker", async () => {
  const app = stack.app();
  const steps: string[] = [];
  app.job("order", { queue: "ts-sleep" }, async (context) => {
    const charged = await context.step("charge", () => ({ steps: steps.push("charge") }));
    context.sleep("300ms");
    const first = context.waitFor("approved", "1h");
    await context.step("ship", async () => steps.push("ship"));
    return [charged, first, context.waitFor("never", 0.2) ?? null, context.attempt];
  });
  app.job("twice", { queue: "ts-sleep" }, async (context) => {
    await context.step("one", () => 1);
    await context.step("one", () => 2);
  });
  app.job("large", { queue: "ts-sleep" }, (context) => context.step("large", () => "x".repeat(20_000)));
  await running(
    app,
    async () => {
      const id = await app.enqueue("order");
      await eventually(async () => (await app.get(id)).waits_for === "approved");
      await app.signal(id, "approved", { by: "ana" });
      assert.deepEqual(await app.wait(id), [{ steps: 1 }, { by: "ana" }, null, 1]);
      assert.deepEqual(steps, ["charge", "ship"]);
      await assert.rejects(app.wait(await app.enqueue("twice")), /two steps of a job are called one/);
      await assert.rejects(app.wait(await app.enqueue("large")), /the step large has 20002 bytes/);
      await assert.rejects(app.signal(id, "approved"), /is completed and receives no signal/);
    },
    1,
  );
});

test("a killed worker leaves its steps and its cursor", async () => {
  const app = stack.app();
  const env = { STEP_QUEUE: "ts-steps", PAY_QUEUE: "ts-none", HOLD_QUEUE: "ts-none" };
  const first = stack.worker({ ROLE: "first", ...env });
  const id = await app.enqueue("stepped", { n: 1, first: 600_000 }, { queue: "ts-steps" });
  await eventually(async () => (await app.get(id)).cursor !== null);
  const second = stack.worker(env);
  try {
    await end(first, "SIGKILL");
    assert.deepEqual(await app.wait(id), { chargedBy: first.pid, by: second.pid, cursor: [1] });
    assert.equal(await count(), 1);
  } finally {
    await end(second);
  }
});

test("what the API does not take is refused by name", async () => {
  const app = stack.app();
  for (const [name, options, text] of [
    ["", {}, /name/],
    ["thumb", { priority: 10 }, /priority/],
    ["thumb", { maxAttempts: 0 }, /max_attempts/],
    ["thumb", { group: "no" }, /group/],
  ] as const) {
    await assert.rejects(app.enqueue(name, {}, options), (error) => error instanceof Refused && text.test(error.message));
  }
  await assert.rejects(new Gristmill({ url: stack.url, key: "wrong" }).enqueue("thumb"), /401/);
});

test("ten thousand in a batch", async () => {
  const jobs = Array.from({ length: 10_000 }, (_, n) => ({ name: "member", payload: { n }, queue: "ts-nobody" }));
  assert.equal(new Set(await stack.app().enqueueMany(jobs)).size, 10_000);
});

test("many members, and the join of their group", async () => {
  const [app, members] = [stack.app(), 2_000];
  const runs = new Set<number>();
  let joined: unknown;
  app.job<{ n: number }>("member", { queue: "ts-group" }, (_, { n }) => {
    runs.add(n);
  });
  app.job("join", { queue: "ts-join" }, (_, payload) => {
    joined = payload;
  });
  await running(
    app,
    async () => {
      const group = await app.group({ name: "many", onComplete: { name: "join", payload: { of: "members" } } });
      const ids = await group.enqueueMany(Array.from({ length: members }, (_, n) => ({ name: "member", payload: { n } })));
      await group.seal();
      assert.equal(new Set(ids).size, members);
      await eventually(() => joined, 100_000);
      assert.deepEqual(joined, { of: "members" });
      const { state, total, completed } = await group.get();
      assert.deepEqual([state, total, completed], ["completed", members, members]);
    },
    100,
  );
  assert.equal(runs.size, members);
});

test("a flow runs stage after stage, and hands results on", async () => {
  const app = stack.app();
  app.job<{ n: number }>("part", { queue: "ts-flow", maxAttempts: 1 }, (_, { n }) => {
    if (n === 13) throw new Error("thirteen");
    return n;
  });
  app.job("sum", { queue: "ts-flow" }, async (ctx) => {
    let sum = 0;
    for await (const { result } of app.members(ctx.id)) sum += result ?? 0;
    return sum;
  });
  await running(app, async () => {
    const part = (n: number) => ({ name: "part", payload: { n } });
    const parts = { name: "parts", jobs: Array.from({ length: 10 }, (_, n) => part(n)) };
    const flow = await app.flow([parts, { name: "sum", after: ["parts"], jobs: [{ name: "sum" }] }], { name: "sums" });
    assert.equal(await app.wait(flow.jobs.sum![0]!), 45);
    await eventually(async () => (await flow.get()).state === "completed");
    // A failure cancels what waits for it; mended, all of it runs.
    const bad = await app.flow([
      { name: "bad", jobs: [part(13)] },
      { name: "sum", after: ["bad"], jobs: [{ name: "sum" }] },
    ]);
    await eventually(async () => (await bad.get()).state === "failed");
    assert.equal((await app.get(bad.jobs.sum![0]!)).state, "cancelled");
    await app.retry(bad.jobs.bad![0]!, { n: 14 });
    assert.equal(await app.wait(bad.jobs.sum![0]!), 14);
  });
  await assert.rejects(app.flow([{ name: "a", after: ["none"], jobs: [{ name: "part" }] }]), /waits for `none`/);
  const waits = await app.flow([{ name: "a", jobs: [{ name: "part", queue: "ts-nobody" }] }]);
  await waits.cancel();
  assert.equal((await waits.get()).state, "cancelled");
});

test("a job that waits is changed and promoted", async () => {
  const app = stack.app();
  app.job<{ n: number }>("late", { queue: "ts-late" }, (_, { n }) => n);
  const id = await app.enqueue("late", { n: 1 }, { delay: "1h", tags: ["first"] });
  const changed = await app.change(id, { payload: { n: 2 }, priority: 0, tags: ["second"], timeout: "5m" });
  const { payload, priority, tags, timeout_ms } = changed;
  assert.deepEqual([payload, priority, tags, timeout_ms], [{ n: 2 }, 0, ["second"], 300_000]);
  await running(app, async () => {
    await app.promote(id);
    assert.equal(await app.wait(id), 2);
  });
  await assert.rejects(app.promote(id), /completed/);
});

test("the job of a killed worker runs elsewhere", async () => {
  const app = stack.app();
  const first = stack.worker({ ROLE: "first", HOLD_QUEUE: "ts-kill", PAY_QUEUE: "ts-none" });
  const id = await app.enqueue("hold", { n: 1, first: 600_000 }, { queue: "ts-kill" });
  await eventually(async () => (await count()) === 1);
  const second = stack.worker({ HOLD_QUEUE: "ts-kill", PAY_QUEUE: "ts-none" });
  try {
    await sleep(2000); // it waits for jobs by then
    await end(first);
    assert.equal((await app.wait(id, 30)).by, second.pid);
    assert.ok((await outcomes(app, id)).includes("lost_worker"));
  } finally {
    await end(second);
  }
});

test("an effect happens once however often workers are killed", async () => {
  const app = stack.app();
  const jobs = 200;
  let kills = 0;
  const ids = await app.enqueueMany(
    Array.from({ length: jobs }, (_, n) => ({ name: "pay", payload: { n }, queue: "ts-pay", maxAttempts: 100 })),
  );
  const start = () => stack.worker({ PAY_QUEUE: "ts-pay", HOLD_QUEUE: "ts-none" });
  while ((await count()) < jobs) {
    const one = start();
    const seen = await count();
    // it has run some, and is in the middle of others
    await eventually(async () => (await count()) >= Math.min(seen + 20, jobs));
    await end(one);
    kills += 1;
  }
  const last = start();
  try {
    for (const id of ids) assert.ok((await app.wait(id)).paid >= 0);
  } finally {
    await end(last, "SIGTERM");
  }
  const { rows } = await pool.query("select count(*)::int as n, count(distinct n)::int as different from effects");
  assert.deepEqual(rows, [{ n: jobs, different: jobs }]);
  assert.ok(kills >= 5);
});

test("SIGTERM hands back what still runs", async () => {
  const app = stack.app();
  const first = stack.worker({ ROLE: "first", HOLD_QUEUE: "ts-term", PAY_QUEUE: "ts-none" });
  const id = await app.enqueue("hold", { n: 1, first: 600_000 }, { queue: "ts-term" });
  await eventually(async () => (await count()) === 1);
  const second = stack.worker({ HOLD_QUEUE: "ts-term", PAY_QUEUE: "ts-none" });
  try {
    await sleep(1000);
    const code = end(first, "SIGTERM");
    assert.deepEqual(await app.wait(id), { by: second.pid, attempt: 1 });
    assert.ok(!(await outcomes(app, id)).includes("lost_worker"), "handed back, not lost");
    assert.equal(await code, 0);
  } finally {
    await end(second);
  }
});

test("a worker outlives the API", async () => {
  const port = await freePort();
  const app = new Gristmill({ url: `http://127.0.0.1:${port}`, key: stack.key });
  let [go, started] = [() => {}, false];
  const gone = new Promise<void>((resolve) => {
    go = resolve;
  });
  app.job("over", { queue: "ts-restart" }, async ({ attempt }) => {
    started = true;
    await gone;
    return attempt;
  });
  let api = stack.api(port);
  try {
    const before = await app.enqueue("over");
    await running(app, async () => {
      await eventually(() => started);
      await end(api);
      // it is gone: the job ends meanwhile, and its end cannot be reported
      go();
      await sleep(1000);
      api = stack.api(port);
      assert.equal(await app.wait(before), 1, "it has run once");
      assert.equal(await app.wait(await app.enqueue("over")), 1);
    });
  } finally {
    await end(api);
  }
});

test("enqueue and complete in a transaction", async () => {
  const app = stack.app();
  const seen: string[] = [];
  let tries = 0;
  app.job<{ to: string }>("mail", { queue: "ts-mail" }, (_, { to }) => {
    seen.push(to);
    return to;
  });
  app.job<{ how: string }>("effect", { queue: "ts-mail", backoff: () => 0.05 }, async (context, { how }) => {
    tries += 1;
    const client = await pool.connect();
    try {
      await client.query("begin");
      await completeIn(client, context, { how });
      // and the job ends as if all were well
      await client.query(how === "rolled back" && tries === 1 ? "rollback" : "commit");
    } finally {
      client.release();
    }
  });
  const client = await pool.connect();
  await running(app, async () => {
    await client.query("begin");
    await enqueueIn(client, "mail", { to: "rolled back" }, { queue: "ts-mail" });
    await client.query("rollback");
    await client.query("begin");
    const id = await enqueueIn(client, "mail", { to: "ana" }, { queue: "ts-mail", maxAttempts: 3 });
    const many = await enqueueManyIn(client, Array.from({ length: 100 }, (_, n) => ({ name: "mail", payload: { to: `${n}` }, queue: "ts-mail" })));
    const key = { queue: "ts-mail", uniqueKey: "ts-mail-once", delay: "1h" };
    assert.notEqual(await enqueueIn(client, "mail", { to: "once" }, key), null);
    assert.equal(await enqueueIn(client, "mail", { to: "once" }, key), null);
    await client.query("commit");
    assert.equal(await app.wait(id ?? ""), "ana");
    for (const one of many) await app.wait(one ?? "");
    assert.equal(new Set(seen).size, 101);
    const again = await app.enqueue("effect", { how: "rolled back" });
    assert.deepEqual(await app.wait(again), { how: "rolled back" });
    assert.equal(tries, 2);
    assert.match((await app.get(again)).attempts[0].error, /completeIn/);
    await assert.rejects(completeIn(client, again), (error) => error instanceof AlreadyDone);
  });
  client.release();
});

test("a producer's backoff goes before the worker's", async () => {
  const app = stack.app();
  app.job("flaky.often", { queue: "ts-backoff", backoff: () => 3_600 }, ({ attempt }) => {
    if (attempt < 3) throw new TypeError("not yet");
    return attempt;
  });
  await running(app, async () => {
    assert.equal(await app.wait(await app.enqueue("flaky.often", {}, { backoff: { type: "fixed", delay: "50ms" } })), 3);
  });
});
