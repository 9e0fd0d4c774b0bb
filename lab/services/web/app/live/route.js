import { shutdown } from "../../lib/shutdown";

export const dynamic = "force-dynamic";

/** Streams the time each second, until the client goes or the server stops (server-sent events). */
export function GET(request) {
  const ends = AbortSignal.any([request.signal, shutdown()]);
  const words = new TextEncoder();
  const body = new ReadableStream({
    start(controller) {
      const timer = setInterval(() => controller.enqueue(words.encode(`data: ${Date.now()}\n\n`)), 1000);
      controller.enqueue(words.encode("retry: 2000\n\n"));
      ends.addEventListener("abort", () => {
        clearInterval(timer);
        controller.close();
      });
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-store" } });
}
