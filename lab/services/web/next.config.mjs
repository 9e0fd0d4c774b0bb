/** @type {import('next').NextConfig} */
export default {
  // A server with only the packages that it needs.
  output: "standalone",
  // npm's folder, not the one that Next.js guesses from lock files above it.
  outputFileTracingRoot: import.meta.dirname,
  // nginx compresses; twice would hold streams back.
  compress: false,
  poweredByHeader: false,
  // While droplets change in turn, a page of one build meets a server of another: the browser then loads it anew.
  deploymentId: process.env.GIT_HASH || undefined,
  images: { unoptimized: true },
  // Pages that are rendered again stay in memory. Their folder, /app/.next/server, is read-only as the rest of the image.
  experimental: { isrFlushToDisk: false },
  cacheMaxMemorySize: 50 * 1024 * 1024,
};
