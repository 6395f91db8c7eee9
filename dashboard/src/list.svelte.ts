// A list of records: one page after another from the API, and what arrives live in front.
import { ApiError } from './api.ts';
import { count, plural } from './format.ts';

export interface Page<T> {
  total: number;
  rows: T[];
  next?: string;
  /** False where not everything was searched: `total` is of what was, and `next` goes on from there. */
  complete?: boolean;
  /** There may be more than `total`. */
  atLeast?: boolean;
}
export type Pager<T> = (before: string | undefined, signal: AbortSignal) => Promise<Page<T>>;

/** Rows kept in the page; beyond it the oldest go and are fetched again when somebody scrolls there. */
const KEPT = 10_000;

export class RecordList<T extends { id: string }> {
  rows = $state.raw<T[]>([]);
  total = $state(0);
  loading = $state(true);
  failed = $state<string>();
  /** Whether everything was searched, down to the last row that is shown. */
  complete = $state(true);

  #pager: Pager<T>;
  #next: string | undefined;
  #ids = new Set<string>();
  #abort = new AbortController();
  #fetching = false;
  #atLeast = $state(false);
  /** What came since the first page was asked for, newest first: the answer may not have it. */
  #came: T[] | undefined;

  constructor(pager: Pager<T>) {
    this.#pager = pager;
  }

  get hasOlder(): boolean {
    return this.#next !== undefined;
  }

  /** `12 requests`, `1,000+ requests` where there may be more. */
  tally(one: string, many = `${one}s`): string {
    if (!this.#atLeast && this.complete) return plural(this.total, one, many);
    return `${count(Math.max(this.total, this.rows.length))}+ ${many}`;
  }

  /** The first page in place of what is shown. */
  async load(): Promise<void> {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#fetching = true;
    this.loading = this.rows.length === 0;
    this.#came = [];
    await this.#page(undefined, this.#abort.signal, (page) => {
      const paged = new Map(page.rows.map((row) => [row.id, row]));
      const newer = (this.#came ?? []).filter((row) => !paged.has(row.id));
      this.rows = [...newer, ...paged.values()];
      this.#ids = new Set(this.rows.map((row) => row.id));
      page.total += newer.length;
    });
  }

  /** The next page behind what is shown; nothing when there is none or one is on its way. */
  async older(): Promise<void> {
    // A search that found little in its time is not repeated over all of the store unless somebody asks for that.
    if (this.complete) await this.goOn();
  }

  /** The same from where a search ended. */
  async goOn(): Promise<void> {
    if (this.#fetching || this.#next === undefined) return;
    this.#fetching = true;
    await this.#page(this.#next, this.#abort.signal, (page) => {
      const fresh = page.rows.filter((row) => !this.#ids.has(row.id));
      for (const row of fresh) this.#ids.add(row.id);
      this.rows = [...this.rows, ...fresh];
    });
  }

  /** Records that arrived, oldest first. */
  add(records: T[]): void {
    if (!this.#came) return; // not asked for yet, or not to be shown
    const fresh = records.filter((record) => !this.#ids.has(record.id));
    if (fresh.length === 0) return;
    for (const record of fresh) this.#ids.add(record.id);
    this.total += fresh.length;
    fresh.reverse();
    if (this.#fetching) this.#came = [...fresh, ...this.#came].slice(0, KEPT);
    const rows = [...fresh, ...this.rows];
    for (const gone of rows.splice(KEPT)) this.#ids.delete(gone.id);
    this.rows = rows;
  }

  /** Nothing is to be shown until the next `load`. */
  stop(): void {
    this.#abort.abort();
    this.clear();
    this.#came = undefined;
    this.#fetching = false;
    this.loading = false;
    this.failed = undefined;
  }

  clear(): void {
    this.#ids.clear();
    this.complete = true;
    this.#atLeast = false;
    if (this.#came) this.#came = [];
    this.#next = undefined;
    this.rows = [];
    this.total = 0;
  }

  async #page(before: string | undefined, signal: AbortSignal, take: (page: Page<T>) => void): Promise<void> {
    try {
      const page = await this.#pager(before, signal);
      if (signal.aborted) return;
      take(page);
      this.total = page.total;
      this.complete = page.complete ?? true;
      this.#atLeast = page.atLeast ?? false;
      this.#next = page.rows.length > 0 || !this.complete ? page.next : undefined;
      this.failed = undefined;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.failed = error.message;
    } finally {
      if (!signal.aborted) {
        this.#fetching = false;
        this.loading = false;
      }
    }
  }
}
