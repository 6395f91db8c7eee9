// The filter box: free text and `word:value` tokens, and what they ask of the API.
import type { Job, Log, Request } from './schema.ts';

export interface Filter {
  method?: string;
  status?: string;
  service?: string;
  endpoint?: string;
  level?: string;
  search?: string;
}

const WORDS = ['method', 'status', 'service', 'endpoint', 'level'] as const;
const TOKEN = /(\w+):"([^"]*)"|(\w+):(\S+)|"([^"]*)"|(\S+)/g;

/** `method:post status:5xx shop` → `{method: 'POST', status: '5xx', search: 'shop'}`. Unknown words are free text. */
export function parse(text: string): Filter {
  const filter: Filter = {};
  const free: string[] = [];
  for (const [whole, quotedWord, quotedValue, word, value, quoted, plain] of text.matchAll(TOKEN)) {
    const name = (quotedWord ?? word)?.toLowerCase();
    const known = WORDS.find((candidate) => candidate === name);
    const given = quotedValue ?? value;
    if (known && given) filter[known] = normalise(known, given);
    else free.push(quoted ?? plain ?? whole);
  }
  if (free.length > 0) filter.search = free.join(' ');
  return filter;
}

function normalise(word: (typeof WORDS)[number], value: string): string {
  if (word === 'method') return value.toUpperCase();
  if (word === 'status' || word === 'level') return value.toLowerCase();
  return value;
}

/** The text of a filter: what `parse` reads back. */
export function text(filter: Filter): string {
  const parts = WORDS.flatMap((word) => {
    const value = filter[word];
    if (!value) return [];
    return [`${word}:${/\s/.test(value) ? `"${value}"` : value}`];
  });
  if (filter.search) parts.push(filter.search);
  return parts.join(' ');
}

/** The box's text with one word set, or removed when `value` is empty. */
export function withWord(box: string, word: keyof Filter, value: string | undefined): string {
  const filter = parse(box);
  if (value) filter[word] = value;
  else delete filter[word];
  return text(filter);
}

/** Whether a request that arrives live belongs on the list; the server applies the same to what it lists. */
export function matchesRequest(request: Request, filter: Filter): boolean {
  if (filter.method && request.method !== filter.method) return false;
  if (filter.status && !matchesStatus(request.statusCode, filter.status)) return false;
  if (filter.service && request.service !== filter.service) return false;
  if (filter.endpoint && endpointOf(request) !== filter.endpoint) return false;
  return contains(filter.search, [request.url, request.requestBody, request.responseBody]);
}

/** The same for a job. */
export function matchesJob(job: Job, filter: Filter): boolean {
  if (filter.status && job.status !== filter.status) return false;
  if (filter.service && job.service !== filter.service) return false;
  if (filter.endpoint && job.name !== filter.endpoint) return false;
  return contains(filter.search, [job.name, job.queue, job.messageId, job.error]);
}

/** The same for a log. */
export function matchesLog(log: Log, filter: Filter): boolean {
  if (filter.level && log.level !== filter.level) return false;
  if (filter.service && log.service !== filter.service) return false;
  return contains(filter.search, [log.message, log.logger]);
}

/** `METHOD route-template`; the path stands in where there is no route. */
export function endpointOf(request: Request): string {
  return `${request.method} ${request.route ?? request.path}`;
}

/** The list that an endpoint's requests, or the runs of a job of this name, are on. */
export function listOf(endpoint: string): 'requests' | 'jobs' {
  return /^[A-Z]+ /.test(endpoint) ? 'requests' : 'jobs';
}

function matchesStatus(code: number, wanted: string): boolean {
  const digits = String(code);
  return wanted.endsWith('xx') ? digits[0] === wanted[0] : digits === wanted;
}

function contains(search: string | undefined, texts: (string | null | undefined)[]): boolean {
  if (!search) return true;
  const wanted = search.toLowerCase();
  return texts.some((candidate) => candidate?.toLowerCase().includes(wanted));
}
