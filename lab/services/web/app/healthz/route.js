// Without this the answer would be made once, at build time.
export const dynamic = "force-dynamic";

/** Says that this process answers, and nothing more: no API, no database (docs/services.md, "Health"). */
export function GET() {
  return new Response("ok");
}
