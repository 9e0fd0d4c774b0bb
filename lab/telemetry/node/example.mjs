// A web front end in its smallest form: what Next.js's server does, without Next.js. It tells the trace of its request.

import { shutDown } from "./telemetry.mjs";
import { createRequire } from "node:module";
import { trace } from "@opentelemetry/api";

// As Next.js's server does, and after the instrumentation, which changes what is required.
const http = createRequire(import.meta.url)("node:http");

const server = http.createServer((request, response) => {
  response.statusCode = request.url === "/broken" ? 500 : 200;
  response.end(trace.getActiveSpan()?.spanContext().traceId ?? "");
});
server.listen(Number(process.env.PORT), process.env.HOSTNAME);

process.on("SIGTERM", async () => {
  server.close();
  server.closeIdleConnections();
  await shutDown();
  process.exit(0);
});
