/** Rendered at most every 5 s by each droplet, and served from memory in between (incremental static regeneration). */
export const revalidate = 5;

export default function Sermons() {
  return <p id="rendered">{new Date().toISOString()}</p>;
}
