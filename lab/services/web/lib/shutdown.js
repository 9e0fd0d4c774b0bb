/**
 * Aborted when the container is told to stop. Next.js then waits for every open response, without a limit: a stream that
 * does not end by itself would last until Docker kills the process. Its client connects again, to another droplet.
 */
const own = Symbol.for("church.shutdown");

export function shutdown() {
  // On globalThis, because a bundle may have this module more than once.
  if (!globalThis[own]) {
    const controller = new AbortController();
    process.once("SIGTERM", () => controller.abort());
    globalThis[own] = controller.signal;
  }
  return globalThis[own];
}
