import type { Span, SpanContext, Tracer } from "@opentelemetry/api";

export interface TracingOptions {
  /** Where OTLP over HTTP is taken; the path is added. */
  readonly endpoint: string;
  readonly serviceName: string;
  readonly version: string;
}

export type SpanKindName = "server" | "consumer" | "internal";
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanOptions {
  readonly kind: SpanKindName;
  /** What the span is a part of. */
  readonly parent?: SpanContext | undefined;
  readonly attributes?: Attributes;
}

/** A span under way. */
export interface RunningSpan {
  readonly context: SpanContext;
  /** Idempotent. `failed` marks it as an error. */
  end(attributes: Attributes, failed: boolean): void;
}

/** Traces of requests and of what they begin. */
export interface Tracing {
  begin(name: string, options: SpanOptions): RunningSpan;
  /** Sends what is still here. Idempotent. */
  close(): Promise<void>;
}

/** Milliseconds that the last spans get to be sent. */
const CLOSE_LIMIT = 5000;

/** Starts to trace. OpenTelemetry's SDK is loaded here and nowhere else: most installations have no use for it. */
export async function openTracing(options: TracingOptions): Promise<Tracing> {
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/sdk-trace"),
    import("@opentelemetry/exporter-trace-otlp-http"),
    import("@opentelemetry/resources"),
  ]);
  const url = `${options.endpoint.replace(/\/+$/, "")}/v1/traces`;
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ "service.name": options.serviceName, "service.version": options.version }),
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url }) })],
  });
  const tracer: Tracer = provider.getTracer("raworc", options.version);
  const kinds = {
    server: api.SpanKind.SERVER,
    consumer: api.SpanKind.CONSUMER,
    internal: api.SpanKind.INTERNAL,
  } as const;
  let closed: Promise<void> | undefined;
  return {
    begin: (name, { attributes = {}, kind, parent }) => {
      const root = api.ROOT_CONTEXT;
      const context = parent === undefined ? root : api.trace.setSpanContext(root, parent);
      const span = tracer.startSpan(name, { kind: kinds[kind], attributes: { ...attributes } }, context);
      return running(span, api.SpanStatusCode.ERROR);
    },
    close: () => {
      closed ??= Promise.race([
        provider.shutdown().catch(() => undefined),
        new Promise<void>((resolve) => setTimeout(resolve, CLOSE_LIMIT).unref()),
      ]);
      return closed;
    },
  };
}

function running(span: Span, error: number): RunningSpan {
  return {
    context: span.spanContext(),
    end: (attributes, failed) => {
      span.setAttributes({ ...attributes });
      if (failed) span.setStatus({ code: error });
      span.end();
    },
  };
}

const TRACE_PARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** What a caller's W3C `traceparent` says; undefined where it says nothing that is valid. */
export function parseTraceParent(header: string | undefined): SpanContext | undefined {
  const [, traceId = "", spanId = "", flags = ""] = TRACE_PARENT.exec(header ?? "") ?? [];
  if (!/[1-9a-f]/.test(traceId) || !/[1-9a-f]/.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
}
