// Upload, status, rejects, by openapi-fetch with the types that openapi-typescript made of the document.

import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Upload = components["schemas"]["Upload"];
type RejectList = components["schemas"]["RejectList"];

const client = createClient<paths>({
    baseUrl: process.env.API,
    headers: { Authorization: `Bearer ${process.env.KEY}` },
});
const file = readFileSync(0, "utf8");

const sent = await client.POST("/v1/uploads", {
    params: { query: { kind: "debts", filename: "debts.csv" }, header: { "Idempotency-Key": "by-typescript" } },
    headers: { "Content-Type": "text/csv" },
    body: file,
    bodySerializer: (body) => body,
});
assert.equal(sent.response.status, 202, JSON.stringify(sent.error));
// A dry run is answered with what was found in the file instead.
assert.ok(sent.data && "id" in sent.data, JSON.stringify(sent.data));
let upload: Upload = sent.data;
const until = Date.now() + 120_000;
while (upload.state !== "completed") {
    assert.ok(upload.state !== "failed" && Date.now() < until, JSON.stringify(upload));
    await new Promise((done) => setTimeout(done, 200));
    const asked = await client.GET("/v1/uploads/{id}", { params: { path: { id: upload.id } } });
    upload = asked.data!;
}
assert.deepEqual([upload.rows.read, upload.rows.accepted, upload.rows.rejected], [3, 2, 1]);
const rejects = await client.GET("/v1/uploads/{id}/rejects", { params: { path: { id: upload.id } } });
// It may also be asked for as CSV, which is a text.
const page = rejects.data as RejectList;
assert.deepEqual(
    page.items.map((it) => [it.line, it.column, it.reason]),
    [[3, "debtAmount", "bad_amount"]],
);
assert.deepEqual(
    page.items.flatMap((it) => it.faults.map((fault) => [fault.column, fault.code])),
    [["debtAmount", "bad_amount"]],
);
console.log("typescript: upload, status, rejects: ok");
