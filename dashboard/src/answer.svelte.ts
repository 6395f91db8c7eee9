// An answer of the API that is fetched again when something happened.
import { ApiError } from './api.ts';
import { live } from './live.svelte.ts';

const AT_MOST_EVERY_MS = 1500;

export class Answer<T> {
  value = $state.raw<T>();
  failed = $state<string>();
  /** The server answered that there is no such thing. */
  missing = $state(false);
  loading = $state(true);

  #fetcher: (signal: AbortSignal) => Promise<T>;
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last = 0;

  constructor(fetcher: (signal: AbortSignal) => Promise<T>) {
    this.#fetcher = fetcher;
  }

  /** Fetch now. The last answer stays until the next is there. */
  async refresh(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#last = Date.now();
    this.loading = this.value === undefined;
    try {
      const value = await this.#fetcher(signal);
      if (signal.aborted) return;
      this.value = value;
      this.failed = undefined;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.failed = error.message;
      this.missing = error.status === 404;
    }
    this.loading = false;
  }

  /** Fetch soon, once for all calls until then. */
  soon(): void {
    this.#timer ??= setTimeout(() => void this.refresh(), Math.max(150, AT_MOST_EVERY_MS - (Date.now() - this.#last)));
  }

  /** Fetch again after events of these kinds, until the returned function is called. */
  follow(...kinds: Parameters<typeof live.on>[0][]): () => void {
    const stops = kinds.map((kind) => live.on(kind, () => this.soon()));
    return () => {
      for (const stop of stops) stop();
      clearTimeout(this.#timer);
      this.#abort.abort();
    };
  }
}
