import { headers } from "next/headers";
import { log, slug } from "../lib/log";

/** Rendered for each request: `headers()` sees to that, so the environment is read when it runs, not when it is built. */
export default async function Page() {
  const request = await headers();
  log("page", request, { path: "/" });
  return (
    <main>
      <h1>{slug(request.get("host"))}</h1>
      <p id="api">{`https://api.${process.env.PRESENCE360_BASE_DOMAIN}`}</p>
    </main>
  );
}
