// A service on Node.js's own http server, as Next.js's standalone server.js is, for tests.
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://service");
  if (url.pathname.startsWith("/count/")) {
    appendFileSync(process.env.EXECUTED, `${url.pathname.slice("/count/".length)}\n`);
    request.resume().on("end", () => response.end("{}"));
  } else if (url.pathname === "/html") {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    let number = 0;
    const write = () => {
      response.write(`<p>${number}</p>`.padEnd(200));
      if (++number === 3) response.end();
      else setTimeout(write, 500);
    };
    write();
  } else {
    response.end(JSON.stringify({ path: request.url, bytes: JSON.stringify(request.headers).length }));
  }
});
// As Next.js does (dist/server/lib/start-server.js).
const keepAlive = parseInt(process.env.KEEP_ALIVE_TIMEOUT ?? "", 10);
if (keepAlive) server.keepAliveTimeout = keepAlive;
process.on("SIGTERM", () => server.close(() => process.exit(0)));
server.listen(Number(process.env.PORT), process.env.HOSTNAME);
