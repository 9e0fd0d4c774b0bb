// OpenTelemetry in a Next.js service of Presence360. Copy this file, ../instrumentation.js that imports it, and the
// packages; docs/telemetry.md explains it.

import { metrics } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { registerInstrumentations } from "@opentelemetry/instrumentation";
import { HttpInstrumentation } from "@opentelemetry/instrumentation-http";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
  createAllowListAttributesProcessor,
} from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

// What a request is measured by. `server.address` is left out: it is what the client wrote into Host, another for each
// church, and whatever a stranger invents.
const LABELS = [
  "error.type",
  "http.request.method",
  "http.response.status_code",
  "http.route",
  "network.protocol.version",
  "url.scheme",
];

let provider, tracerProvider;

// Send what was measured, and the spans that were not sent yet.
async function shutDown() {
  await Promise.allSettled([tracerProvider?.shutdown(), provider?.shutdown()]);
}

if (process.env.OTEL_SDK_DISABLED !== "true") {
  // One process in each container: Next.js's server is its first.
  const instance = resourceFromAttributes({ "service.instance.id": `${process.env.PRESENCE360_DROPLET}-0` });
  const resource = defaultResource()
    .merge(detectResources({ detectors: [envDetector] }))
    .merge(instance);
  provider = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: new OTLPMetricExporter(),
        exportIntervalMillis: Number(process.env.OTEL_METRIC_EXPORT_INTERVAL),
        exportTimeoutMillis: Number(process.env.OTEL_METRIC_EXPORT_TIMEOUT),
      }),
    ],
    views: [
      {
        instrumentName: "http.server.request.duration",
        attributesProcessors: [createAllowListAttributesProcessor(LABELS)],
      },
      // Of what Next.js asks itself: names of hosts are its own business.
      { instrumentName: "http.client.request.duration", aggregation: { type: AggregationType.DROP } },
    ],
  });
  metrics.setGlobalMeterProvider(provider);
  // Which traces are kept, nginx decides (OTEL_TRACES_SAMPLER).
  const spanProcessors = [];
  if (process.env.OTEL_TRACES_EXPORTER === "otlp") spanProcessors.push(new BatchSpanProcessor(new OTLPTraceExporter()));
  tracerProvider = new NodeTracerProvider({ resource, spanProcessors });
  tracerProvider.register({ propagator: new W3CTraceContextPropagator() });
  registerInstrumentations({
    instrumentations: [
      new HttpInstrumentation({ ignoreIncomingRequestHook: (request) => request.url === "/healthz" }),
    ],
  });
  // Only what is required from here on is changed, and Next.js has required this before: the same module, once more.
  process.getBuiltinModule("node:module").createRequire(`${process.cwd()}/`)("http");
  // Next.js waits for its requests alone, and then ends the process.
  process.once("SIGTERM", () => {
    const exit = process.exit.bind(process);
    process.exit = (code) => {
      // The platform waits for longer (stop_grace_seconds).
      setTimeout(exit, 3000, code);
      shutDown().finally(() => exit(code));
    };
  });
}
