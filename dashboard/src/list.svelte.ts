// A list of records: one page after another from the API, and what arrives live in front.
import { ApiError } from './api.ts';

export interface Page<T> {
  total: number;
  rows: T[];
  next?: string;
}
export type Pager<T> = (before: string | undefined, signal: AbortSignal) => Promise<Page<T>>;

/** Rows kept in the page; beyond it the oldest go and are fetched again when somebody scrolls there. */
const KEPT = 10_000;

export class RecordList<T extends { id: string }> {
  rows = $state.raw<T[]>([]);
  total = $state(0);
  loading = $state(true);
  failed = $state<string>();

  #pager: Pager<T>;
  #next: string | undefined;
  #ids = new Set<string>();
  #abort = new AbortController();
  #fetching = false;

  constructor(pager: Pager<T>) {
    this.#pager = pager;
  }

  get hasOlder(): boolean {
    return this.#next !== undefined;
  }

  /** The first page in place of what is shown. */
  async load(): Promise<void> {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#fetching = true;
    this.loading = this.rows.length === 0;
    await this.#page(undefined, this.#abort.signal, (page) => {
      this.#ids = new Set(page.rows.map((row) => row.id));
      this.rows =
        page.rows.length === this.#ids.size ? page.rows : [...new Map(page.rows.map((row) => [row.id, row])).values()];
    });
  }

  /** The next page behind what is shown; nothing when there is none or one is on its way. */
  async older(): Promise<void> {
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
    const fresh = records.filter((record) => !this.#ids.has(record.id));
    if (fresh.length === 0) return;
    for (const record of fresh) this.#ids.add(record.id);
    this.total += fresh.length;
    const rows = [...fresh.reverse(), ...this.rows];
    for (const gone of rows.splice(KEPT)) this.#ids.delete(gone.id);
    this.rows = rows;
  }

  clear(): void {
    this.#ids.clear();
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
      this.#next = page.rows.length > 0 ? page.next : undefined;
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
