/** A server that answers as it is told: for what a real one cannot be made to do. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Got {
  path: string;
  headers: NodeJS.Dict<string | string[]>;
  body: any;
}

export class Fake {
  readonly got: Got[] = [];
  readonly answers: Record<string, (body: any) => [number, unknown] | Promise<[number, unknown]>> = {};
  url = "";

  readonly #server = createServer(async (request, response) => {
    let content = "";
    for await (const chunk of request) content += chunk;
    const lines = content.split("\n").filter(Boolean).map((it) => JSON.parse(it));
    const body = request.headers["content-type"] === "application/x-ndjson" ? lines : lines[0];
    const path = request.url ?? "";
    this.got.push({ path, headers: request.headers, body });
    const [status, answer] = (await this.answers[path]?.(body)) ?? [404, {}];
    const rows = Array.isArray(answer) ? answer : [answer];
    response.writeHead(status).end(rows.map((it) => `${JSON.stringify(it)}\n`).join(""));
  });

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
