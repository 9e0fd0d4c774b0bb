/** Write a log line: JSON, with nginx's request id and the tenant's slug, and no query string. */
export function log(message, headers, fields = {}) {
  console.log(
    JSON.stringify({
      time: new Date().toISOString(),
      level: "info",
      service: process.env.PRESENCE360_SERVICE,
      message,
      request_id: headers.get("x-request-id") ?? "",
      tenant: slug(headers.get("host") ?? ""),
      ...fields,
    }),
  );
}

/** The tenant's slug: what stands before the base domain. */
export function slug(host) {
  const end = `.${process.env.PRESENCE360_BASE_DOMAIN}`;
  return host.endsWith(end) ? host.slice(0, -end.length) : "";
}
