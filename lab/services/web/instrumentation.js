/** Next.js calls this once, before its first request: https://nextjs.org/docs/app/guides/instrumentation. */
export async function register() {
  // Not where middleware runs at the edge, which has no Node.js.
  if (process.env.NEXT_RUNTIME === "nodejs") await import("./lib/telemetry.mjs");
}
