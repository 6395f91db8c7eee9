// How many queries each request or job ran, and how long: counted live, and asked for where a row was already there.
import { ApiError, get } from './api.ts';
import { live } from './live.svelte.ts';
import type { Activities } from './schema.ts';
import { split, type Owner } from './waterfall.ts';

export interface Known {
  queries: number;
  dbMs: number;
  fetchMs: number;
}

/** Most ids that the API answers at once. */
const ASK_AT_MOST = 50;
const REMEMBERED = 20_000;
const NOTHING: Known = { queries: 0, dbMs: 0, fetchMs: 0 };

function trim(map: Map<string, Known>): void {
  for (const oldest of map.keys()) {
    if (map.size <= REMEMBERED) return;
    map.delete(oldest);
  }
}

export class Activity {
  #known = $state.raw(new Map<string, Known>());
  #counting = new Map<string, Known>();
  #asked = new Set<string>();
  #queue: Owner[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** What is known of a request or job; undefined the first time, and soon afterwards known. */
  of(owner: Owner): Known | undefined {
    const known = this.#known.get(owner.id);
    if (!known && !this.#asked.has(owner.id)) {
      this.#asked.add(owner.id);
      this.#queue.push(owner);
      this.#timer ??= setTimeout(() => void this.#ask(), 120);
    }
    return known;
  }

  /** Count what arrives until the returned function is called. */
  follow(): () => void {
    const ended = (batch: Owner[]) => {
      const known = new Map(this.#known);
      for (const owner of batch) {
        known.set(owner.id, this.#counting.get(owner.id) ?? NOTHING);
        this.#counting.delete(owner.id);
      }
      trim(known);
      this.#known = known;
    };
    const stops = [
      live.on('query', (batch) =>
        this.#count(batch, (query) => ({ queries: query.transactionMark ? 0 : 1, dbMs: query.durationMs, fetchMs: 0 })),
      ),
      live.on('fetch', (batch) => this.#count(batch, (fetch) => ({ queries: 0, dbMs: 0, fetchMs: fetch.durationMs }))),
      live.on('request', ended),
      live.on('job', ended),
    ];
    return () => {
      stops.forEach((stop) => stop());
      clearTimeout(this.#timer);
    };
  }

  // Events usually come before what owns them; those that come later count just as well.
  #count<E extends { parentRequestId: string | null }>(batch: E[], worth: (event: E) => Known): void {
    let known: Map<string, Known> | undefined;
    for (const event of batch) {
      const id = event.parentRequestId;
      if (id === null) continue;
      const late = this.#known.has(id);
      const counts = late ? (known ??= new Map(this.#known)) : this.#counting;
      const sum = counts.get(id) ?? NOTHING;
      const more = worth(event);
      counts.set(id, {
        queries: sum.queries + more.queries,
        dbMs: sum.dbMs + more.dbMs,
        fetchMs: sum.fetchMs + more.fetchMs,
      });
    }
    if (known) this.#known = known;
    trim(this.#counting);
  }

  async #ask(): Promise<void> {
    this.#timer = undefined;
    const owners = this.#queue.splice(0, ASK_AT_MOST);
    if (owners.length === 0) return;
    if (this.#queue.length > 0) this.#timer = setTimeout(() => void this.#ask(), 0);
    try {
      const answer = await get<Activities>('activity', { requestIds: owners.map((owner) => owner.id).join(',') });
      const known = new Map(this.#known);
      for (const owner of owners) {
        const one = answer.activities[owner.id];
        if (!one) continue;
        const shares = split(owner, one.timeline);
        known.set(owner.id, { queries: one.counts.queries ?? 0, dbMs: shares.db, fetchMs: shares.fetch });
      }
      this.#known = known;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      for (const owner of owners) this.#asked.delete(owner.id);
    }
  }
}
