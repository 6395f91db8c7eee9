// The event stream: what happens now, in batches, with a connection that is never given up.
import { EVENTS } from './api.ts';
import type { Kind as Listed } from './filter.ts';
import type { Error as ErrorRecord, Fetch, Job, Log, Query, Request, StatefulIssue } from './schema.ts';

interface Kinds {
  request: Request;
  job: Job;
  query: Query;
  fetch: Fetch;
  log: Log;
  error: ErrorRecord;
  issues: StatefulIssue[];
  /** Events were missed: fetch again. */
  resync: null;
  /** All data was deleted. */
  cleared: null;
}
type Kind = keyof Kinds;
type Handler<K extends Kind> = (batch: Kinds[K][]) => void;

const NAMES: Record<string, Kind> = {
  message: 'request',
  request: 'request',
  job: 'job',
  query: 'query',
  fetch: 'fetch',
  log: 'log',
  error_event: 'error',
  issues: 'issues',
  resync: 'resync',
  cleared: 'cleared',
};
/** Within a batch: what a request or job did comes before itself. */
const ORDER: Kind[] = ['cleared', 'query', 'fetch', 'log', 'error', 'request', 'job', 'issues', 'resync'];
/** What `held` counts. */
const COUNTED: Kind[] = ['request', 'job', 'log'];
const BATCH_MS = 80;
const HELD_AT_MOST = 5000;
const WAIT_MS = [500, 1000, 2000, 4000, 8000, 15_000];

class Live {
  connection = $state<'connecting' | 'live' | 'reconnecting'>('connecting');
  paused = $state(false);
  /** Requests, jobs and logs that wait while paused. */
  held = $state(0);

  #handlers = new Map<Kind, Set<(batch: never[]) => void>>();
  #waiting: [Kind, unknown][] = [];
  #overflowed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #source: EventSource | undefined;
  #tries = 0;
  #lastId = '';
  #retry: ReturnType<typeof setTimeout> | undefined;
  #opened = false;
  #narrowed: { owner: object; filter: string } | undefined;

  /** Call `handler` with each batch of one kind until the returned function is called. */
  on<K extends Kind>(kind: K, handler: Handler<K>): () => void {
    const handlers = this.#handlers.get(kind) ?? new Set();
    this.#handlers.set(kind, handlers);
    handlers.add(handler);
    return () => handlers.delete(handler);
  }

  connect(): void {
    // The browser resumes a broken stream by itself; a new EventSource has to say where the last one stopped.
    const asked = new URLSearchParams({ batch: '1' });
    if (this.#lastId) asked.set('lastEventId', this.#lastId);
    if (this.#narrowed) asked.set('filter', this.#narrowed.filter);
    const source = new EventSource(`${EVENTS}?${asked}`);
    this.#source = source;
    source.onopen = () => {
      if (this.#opened && !this.#lastId) this.#take('resync', null);
      this.#opened = true;
      this.#tries = 0;
      this.connection = 'live';
    };
    source.onerror = () => {
      this.connection = 'reconnecting';
      // The browser reconnects by itself (and resumes) unless the answer was an error.
      if (source.readyState !== EventSource.CLOSED) return;
      const wait = WAIT_MS[Math.min(this.#tries, WAIT_MS.length - 1)] ?? 15_000;
      this.#tries += 1;
      this.#retry = setTimeout(() => this.connect(), wait * (0.75 + Math.random() / 2));
    };
    source.addEventListener('batch', (event: MessageEvent<string>) => {
      this.#lastId = event.lastEventId || this.#lastId;
      for (const [name, record] of (parsed(event.data) ?? []) as [string, unknown][]) {
        const kind = NAMES[name];
        if (kind !== undefined) this.#take(kind, record);
      }
    });
    for (const [name, kind] of Object.entries(NAMES)) {
      source.addEventListener(name, (event: MessageEvent<string>) => {
        this.#lastId = event.lastEventId || this.#lastId;
        this.#take(kind, parsed(event.data));
      });
    }
  }

  close(): void {
    this.#source?.close();
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
  }

  /**
   * From now on, of one kind only the events that fit a filter, and all of the others. What is waiting of that kind is dropped: a
   * list that is loaded afterwards has it. `filter` has to be one that can be read; with an empty one everything comes.
   */
  narrow(owner: object, kind: Listed, filter: string): void {
    const before = this.#narrowed?.filter;
    this.#narrowed = filter ? { owner, filter: `-kind:${kind} OR (${filter})` } : undefined;
    if (before === this.#narrowed?.filter) return;
    this.#waiting = this.#waiting.filter(([one]) => one !== kind);
    this.held = this.#waiting.filter(([one]) => COUNTED.includes(one)).length;
    this.#reconnect();
  }

  /** All events again, unless somebody else has asked for others since. */
  widen(owner: object): void {
    if (this.#narrowed?.owner !== owner) return;
    this.#narrowed = undefined;
    this.#reconnect();
  }

  // One stream for all of the page: browsers open few connections to a server, and every tab needs its own.
  #reconnect(): void {
    if (!this.#source) return;
    this.#source.close();
    clearTimeout(this.#retry);
    this.connect();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    if (this.#overflowed) this.#waiting = [['resync', null]];
    this.#overflowed = false;
    this.held = 0;
    this.#deliver();
  }

  #take(kind: Kind, record: unknown): void {
    if (record === undefined) return;
    this.#waiting.push([kind, record]);
    if (this.paused) {
      if (COUNTED.includes(kind)) this.held += 1;
      if (this.#waiting.length > HELD_AT_MOST) {
        this.#overflowed = true;
        this.#waiting.length = 0;
      }
      return;
    }
    this.#timer ??= setTimeout(() => this.#deliver(), BATCH_MS);
  }

  #deliver(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.paused) return;
    const batches = new Map<Kind, unknown[]>(ORDER.map((kind) => [kind, []]));
    for (const [kind, record] of this.#waiting) {
      // What came before everything was deleted is gone.
      if (kind === 'cleared') for (const batch of batches.values()) batch.length = 0;
      batches.get(kind)?.push(record);
    }
    this.#waiting = [];
    for (const [kind, batch] of batches) {
      if (batch.length === 0) continue;
      for (const handler of [...(this.#handlers.get(kind) ?? [])]) handler(batch as never[]);
    }
  }
}

function parsed(data: string): unknown {
  if (data === '') return null;
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

export const live = new Live();
