// The filter of a list: it stands in the address, is checked, and holds for what arrives live as well.
import { untrack } from 'svelte';
import { ApiError } from './api.ts';
import { problemOf, type Kind } from './filter.ts';
import { live } from './live.svelte.ts';
import { router } from './router.svelte.ts';
import type { FilterProblem } from './schema.ts';

interface Followers {
  /** The list is to be loaded with the filter. */
  load: () => void;
  /** The filter cannot be read: there is nothing to show. */
  refused?: () => void;
}

/** To be made while a component is. */
export class Filtering {
  /** Why the filter of the address cannot be read. */
  problem = $state.raw<FilterProblem>();
  /** What the address says. */
  readonly text = $derived(router.get('filter'));
  /** The last one that could be read: what the list is asked for. */
  applied = '';
  readonly kind: Kind;

  #followers: Followers;
  #abort = new AbortController();

  constructor(kind: Kind, followers: Followers) {
    this.kind = kind;
    this.#followers = followers;
    $effect(() => {
      const text = this.text;
      untrack(() => void this.#take(text));
    });
    $effect(() => () => {
      this.#abort.abort();
      live.widen(this);
    });
  }

  /** Filter by this from now on; what was before is where the browser's back leads. */
  set(text: string): void {
    router.set({ filter: text });
  }

  /** Load the list again. */
  again(): void {
    if (!this.problem) this.#followers.load();
  }

  async #take(text: string): Promise<void> {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    let problem: FilterProblem | undefined;
    try {
      if (text) problem = await problemOf(text, signal);
    } catch (error) {
      // Without an answer the list says so itself.
      if (!signal.aborted && !(error instanceof ApiError)) throw error;
    }
    if (signal.aborted) return;
    this.problem = problem;
    if (problem) {
      live.widen(this);
      this.#followers.refused?.();
    } else {
      this.applied = text;
      live.narrow(this, this.kind, text);
      this.#followers.load();
    }
  }
}
