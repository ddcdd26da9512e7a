/** Edge cases of the wire, against a server that answers as it is told; all else is tested against a real one. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { AlreadyDone, Discard, Gristmill, Refused, Retry, Snooze, Unreachable, enqueueIn, type Context } from "../src/index.js";
import { encode, seconds } from "../src/options.js";
import { Fake } from "./fake.js";
import { eventually } from "./stack.js";

const PROBLEM = { type: "/problems/x", title: "No", detail: "because", errors: [{ field: "queue", detail: "too long" }] };
const ID = "0194f000-0000-7000-8000-000000000001";
const delivery = { id: ID, delivery: 1, name: "thumb", attempt: 1, max_attempts: 8, payload: { id: 7 }, lease_ms: 6000 };
let fake: Fake;

beforeEach(async () => {
  fake = await new Fake().start();
  let given = false;
  fake.answers["/v1/work/claims"] = async () => {
    if (given) await sleep(200);
    const jobs = given ? [] : [delivery];
    given = true;
    return [200, jobs];
  };
  fake.answers["/v1/work/reports"] = () => [200, { lost: [], cancel: [], drain: false }];
});
afterEach(() => fake.stop());

async function running(app: Gristmill, during: () => Promise<unknown>): Promise<void> {
  const run = app.run({ slots: 2 });
  try {
    await during();
  } finally {
    app.stop();
    await run;
  }
}

const find = (wanted: (body: any) => boolean) =>
  eventually(() => fake.got.find((it) => it.path === "/v1/work/reports" && wanted(it.body))?.body);

test("a report that failed is sent again with all that is in it", async () => {
  const faults = [503, 500, 502];
  fake.answers["/v1/work/reports"] = (body) => (body.done && faults.length > 0 ? [faults.shift() ?? 0, PROBLEM] : [200, {}]);
  const app = new Gristmill({ url: fake.url, key: "key" });
  app.job("thumb", { queue: "thumbs" }, (_, payload) => ({ made: payload.id }));
  const dones = () => fake.got.filter((it) => it.body.done).map((it) => it.body.done);
  await running(app, () => eventually(() => dones().length === 4));
  assert.deepEqual(dones(), Array(4).fill([{ id: ID, delivery: 1, result: { made: 7 } }]));
  const claim = fake.got.find((it) => it.path === "/v1/work/claims")?.body;
  assert.deepEqual([claim.queues, claim.names, claim.language], [{ thumbs: 2 }, ["thumb"], "typescript"]);
  assert.equal(fake.got.at(-1)?.body.leaving, true);
});

test("a key that is refused ends the worker with the reason", async () => {
  fake.answers["/v1/work/claims"] = () => [403, PROBLEM];
  const app = new Gristmill({ url: fake.url, key: "key" }).job("thumb", {}, () => undefined);
  await assert.rejects(app.run(), (error: Error) => {
    assert.ok(error instanceof Refused);
    assert.match(error.message, /403 No: because \(queue: too long\)/);
    return true;
  });
});

test("a job that is lost is stopped and not reported", async () => {
  let why: string | undefined;
  const app = new Gristmill({ url: fake.url, key: "key" });
  app.job("thumb", {}, async (context: Context) => {
    fake.answers["/v1/work/reports"] = () => [200, { lost: [ID], cancel: [], drain: false }];
    await sleep(20_000, undefined, { signal: context.signal }).catch(() => undefined);
    why = context.cancelled;
  });
  await running(app, () => eventually(() => why));
  assert.equal(why, "lost");
  assert.ok(!fake.got.some((it) => it.body.done || it.body.failed));
});

for (const [error, kind, said] of [
  [new Retry("soon", { after: "5m" }), "failed", { error: "soon", retry_in: 300 }],
  [new Discard("never"), "failed", { error: "never", discard: true }],
  [new Snooze(2), "snoozed", { delay: 2 }],
  [new AlreadyDone("it is"), "done", {}],
] as const) {
  test(`what a job throws is what is reported: ${error.name}`, async () => {
    const app = new Gristmill({ url: fake.url, key: "key" });
    app.job("thumb", {}, () => {
      throw error;
    });
    await running(app, () => find((body) => body[kind]));
    const body = await find((body) => body[kind]);
    assert.deepEqual(body[kind], [{ id: ID, delivery: 1, ...said }]);
  });
}

test("an enqueue is sent again by the same idempotency key", async () => {
  const answers = [503, 429, 201];
  fake.answers["/v1/jobs"] = () => {
    const status = answers.shift() ?? 0;
    return [status, status === 201 ? { id: "1" } : PROBLEM];
  };
  const app = new Gristmill({ url: `${fake.url}/`, key: "secret" });
  app.job("thumb", { queue: "thumbs", maxAttempts: 3 }, () => undefined);
  const at = new Date("2030-01-01T00:00:00Z");
  assert.equal(await app.enqueue("thumb", { id: 1 }, { runAt: at, tags: ["a"], priority: 0, retain: "7d" }), "1");
  assert.equal(new Set(fake.got.map((it) => it.headers["idempotency-key"])).size, 1);
  assert.deepEqual([...new Set(fake.got.map((it) => it.headers.authorization))], ["Bearer secret"]);
  assert.deepEqual(fake.got[0]?.body, {
    name: "thumb",
    queue: "thumbs",
    max_attempts: 3,
    run_at: "2030-01-01T00:00:00.000Z",
    tags: ["a"],
    priority: 0,
    retain: 604800,
    payload: { id: 1 },
  });
});

test("what cannot be is refused before it is sent", async () => {
  const app = new Gristmill({ url: "http://127.0.0.1:1", key: "key", patience: 0 });
  const cyclic: Record<string, unknown> = {};
  cyclic["self"] = cyclic;
  const wrong: [unknown, any, RegExp][] = [
    [{ a: "x\0y" }, {}, /NUL/],
    [cyclic, {}, /the payload of thumb is no JSON/],
    [() => 1, {}, /no JSON: it is a function/],
    [{}, { que: "x" }, /no option is called que: there are queue, delay/],
    [{}, { delay: "5 minutes" }, /no duration/],
    [{}, { timeout: -1 }, /no duration/],
  ];
  for (const [payload, options, text] of wrong) await assert.rejects(app.enqueue("thumb", payload, options), text);
  await assert.rejects(app.enqueue("thumb"), (error) => error instanceof Unreachable);
  assert.throws(() => new Gristmill({ url: "127.0.0.1:8080", key: "k" }), /address/);
  await assert.rejects(app.run(), /register a job/);
  assert.equal(encode({ a: "\\u0000" }, "it"), '{"a":"\\\\u0000"}', "a backslash and letters are no NUL");
  assert.deepEqual([2, 0.5, "90s", "5m", "1.5h", "7d", "250ms"].map(seconds), [2, 0.5, 90, 300, 5400, 604800, 0.25]);
});

test("statements", async () => {
  const asked: [string, unknown[]][] = [];
  const client = {
    query: async (text: string, values: unknown[]) => {
      asked.push([text, values]);
      return { rows: [{ id: "1" }] };
    },
  };
  await enqueueIn(client, "thumb", { id: 1 }, { queue: "thumbs", delay: "5m", backoff: { type: "fixed", delay: "5s" }, uniqueKey: "k" });
  assert.deepEqual(asked, [
    [
      'select "gristmill".enqueue("name" => $1, "payload" => $2::jsonb, "queue" => $3,' +
        ' "delay" => make_interval(secs => $4), "backoff" => $5::jsonb, "unique_key" => $6) as id',
      ["thumb", '{"id":1}', "thumbs", 300, '{"type":"fixed","delay_ms":5000}', "k"],
    ],
  ]);
});
