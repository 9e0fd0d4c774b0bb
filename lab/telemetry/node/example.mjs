// A web front end in its smallest form: what Next.js's server does, without Next.js. It tells the trace of its request.

import { createServer } from "node:http";
import { trace } from "@opentelemetry/api";

// As Next.js: the server is there before the instrumentation, and nobody waits for the last message.
const server = createServer((request, response) => {
  response.statusCode = request.url === "/broken" ? 500 : 200;
  response.end(trace.getActiveSpan()?.spanContext().traceId ?? "");
});
await import("./telemetry.mjs");
server.listen(Number(process.env.PORT), process.env.HOSTNAME);

process.on("SIGTERM", () => {
  server.close();
  server.closeIdleConnections();
  process.exit(0);
});
