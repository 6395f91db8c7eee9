// Filters as text: terms that links and buttons put into one. The server reads the language; see docs/filters.md.
import { get } from './api.ts';
import type { Completion, FilterProblem, Request } from './schema.ts';

/** Kinds of event that have a list, as `kind:` calls them. */
export type Kind = 'request' | 'query' | 'fetch' | 'log' | 'error' | 'job';

/** What is wrong with a filter; undefined when it can be read. Throws `ApiError`. */
export async function problemOf(text: string, signal?: AbortSignal): Promise<FilterProblem | undefined> {
  if (text.trim() === '') return undefined;
  // Asked this way it is an answer, not an error that the browser's console tells of.
  return (await get<Completion>('filter/complete', { text, at: 0 }, signal)).error ?? undefined;
}

/** `service:shop`, `name="a b"`: one term that holds for exactly this value. */
export function term(field: string, value: string): string {
  return /^\w[\w.-]*$/.test(value) ? `${field}:${value}` : `${field}="${value.replace(/["\\]/g, '\\$&')}"`;
}

/** The requests of an endpoint (`GET /orders/{id}`), or the runs of the job of this name; of one service or all. */
export function ofEndpoint(endpoint: string, service?: string): string {
  const [method = '', ...rest] = endpoint.split(' ');
  const path = rest.join(' ');
  const terms =
    listOf(endpoint) === 'requests'
      ? // Where no route matched, the path stands in for it.
        [term('method', method), `(${exactly('route', path)} OR ${exactly('path', path)})`]
      : [exactly('name', endpoint)];
  return [...terms, ...(service ? [term('service', service)] : [])].join(' ');
}

function exactly(field: string, value: string): string {
  return `${field}="${value.replace(/["\\]/g, '\\$&')}"`;
}

/** The terms of a filter that no parenthesis, quote or regular expression holds together; `a AND b` is the same as `a b`. */
export function terms(filter: string): string[] {
  const found: string[] = [];
  let at = 0;
  let from = 0;
  let depth = 0;
  const end = () => {
    if (at > from) found.push(filter.slice(from, at));
  };
  for (; at < filter.length; at++) {
    const char = filter[at] as string;
    if (char === '"' || (char === '/' && filter[at - 1] === '~')) {
      for (at++; at < filter.length && filter[at] !== char; at++) if (filter[at] === '\\') at++;
    } else if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (depth <= 0 && /\s/.test(char)) {
      end();
      from = at + 1;
    }
  }
  end();
  return found.filter((one) => one !== 'AND');
}

/** The value that all of a filter's events have in this field because one of its terms says so; the empty string for none. */
export function valueOf(filter: string, field: string): string {
  const found = terms(filter);
  if (found.includes('OR')) return '';
  const one = found.find((each, at) => each.startsWith(`${field}:`) && found[at - 1] !== 'NOT');
  return one?.slice(field.length + 1) ?? '';
}

/** The filter with this field's term set to a value, or without it when the value is empty. */
export function withTerm(filter: string, field: string, value: string): string {
  const found = terms(filter);
  const own = value ? [`${field}:${value}`] : [];
  if (found.includes('OR')) return own.length > 0 ? [`(${filter.trim()})`, ...own].join(' ') : filter;
  const others = found.filter((each, at) => !each.startsWith(`${field}:`) || found[at - 1] === 'NOT');
  return [...others, ...own].join(' ');
}

/** Characters, as the server counts them, before an index of JavaScript, which counts some twice. */
export function charactersTo(text: string, index: number): number {
  return [...text.slice(0, index)].length;
}

/** The reverse of `charactersTo`. */
export function indexOf(text: string, characters: number): number {
  return [...text].slice(0, characters).join('').length;
}

/** `METHOD route-template`; the path stands in where there is no route. */
export function endpointOf(request: Request): string {
  return `${request.method} ${request.route ?? request.path}`;
}

/** The list that an endpoint's requests, or the runs of a job of this name, are on. */
export function listOf(endpoint: string): 'requests' | 'jobs' {
  return /^[A-Z]+ /.test(endpoint) ? 'requests' : 'jobs';
}
