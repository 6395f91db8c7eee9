// The read API: one function that fetches, one that posts, and errors that say what to do.

export const ROOT = '/__brakit';
const API = `${ROOT}/api`;

export type Params = Record<string, string | number | undefined>;

/** The server refused or could not be reached. `message` is a sentence for people; `status` is 0 when there was no answer. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** `GET /api/<path>` as JSON. Throws `ApiError`; an abort passes through as the browser's own `AbortError`. */
export function get<T>(path: string, params: Params = {}, signal?: AbortSignal): Promise<T> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params))
    if (value !== undefined && value !== '') query.set(name, String(value));
  const tail = query.size > 0 ? `?${query}` : '';
  return call<T>(`${API}/${path}${tail}`, { signal });
}

/** `POST /api/<path>` with a JSON body. Throws `ApiError`. */
export function post<T>(path: string, body: unknown): Promise<T> {
  return call<T>(`${API}/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** The address of the event stream. */
export const EVENTS = `${API}/events`;

async function call<T>(url: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, cache: 'no-store' });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError('The brakit server does not answer. Is it still running?', 0);
  }
  // The log-in has ended, or the token was renewed: every address shows the page that asks for it.
  if (response.status === 401) location.reload();
  const body = await response.text();
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch {
    throw new ApiError(`The server answered ${response.status} with something that is not JSON.`, response.status);
  }
  if (!response.ok) throw new ApiError(sentence(answer) ?? `The server answered ${response.status}.`, response.status);
  return answer as T;
}

function sentence(answer: unknown): string | undefined {
  if (typeof answer !== 'object' || answer === null || !('error' in answer)) return undefined;
  return typeof answer.error === 'string' ? answer.error : undefined;
}
