// A request as a curl command.
import type { Request } from './schema.ts';

const LEFT_OUT = new Set([
  'host',
  'connection',
  'accept-encoding',
  'content-length',
  'x-brakit-request-id',
  'traceparent',
  'tracestate',
]);

/** The command. Headers whose value was masked when it was captured are left out: they would only mislead. */
export function curl(request: Request): string {
  const host = request.headers['host'] ?? '127.0.0.1';
  const parts = [`curl -X ${quoted(request.method)} ${quoted(`${request.scheme ?? 'http'}://${host}${request.url}`)}`];
  for (const [name, value] of Object.entries(request.headers)) {
    if (!LEFT_OUT.has(name) && !isMasked(value)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  }
  if (request.requestBody) parts.push(`--data-raw ${quoted(request.requestBody)}`);
  return parts.join(' \\\n  ');
}

/** Whether a captured value was masked by the SDK or the server. */
export function isMasked(value: string): boolean {
  return /\*{3,}|\[(?:redacted|masked|filtered)/i.test(value);
}

function quoted(text: string): string {
  return /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
