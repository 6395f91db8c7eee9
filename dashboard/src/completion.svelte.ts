// What could be typed next in a filter: the server's suggestions, and the filters that were used before.
import { ApiError, get } from './api.ts';
import { charactersTo, indexOf, type Kind } from './filter.ts';
import { recent } from './history.ts';
import type { Completion, FilterProblem } from './schema.ts';

export interface Option {
  text: string;
  kind: 'recent' | 'field' | 'value' | 'keyword';
  doc?: string;
  /** How often it was seen among the newest events. */
  count?: number;
}

/** A text and where the cursor stands in it. */
export interface Edited {
  text: string;
  cursor: number;
}

const PAUSE_MS = 90;
const RECENT_AT_MOST = 5;

export class Suggestions {
  options = $state.raw<Option[]>([]);
  /** What the text that was asked about would be refused with. */
  problem = $state.raw<FilterProblem>();
  /** Whether something that was begun would be completed. */
  begun = $state(false);

  readonly #kind: Kind;
  #of: string | undefined;
  #from = 0;
  #to = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #abort = new AbortController();

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  /** Ask about a text, once somebody pauses. */
  ask(text: string, cursor: number): void {
    this.stop();
    this.#timer = setTimeout(() => void this.#fetch(text, cursor), PAUSE_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  /** Whether what is suggested is for this text. */
  areFor(text: string): boolean {
    return this.#of === text;
  }

  /** The text with an option in its place, and the cursor behind it. */
  chosen(option: Option, text: string): Edited {
    if (option.kind === 'recent') return { text: option.text, cursor: option.text.length };
    const rest = text.slice(this.#to);
    // An operator that is there already stays.
    const put = option.kind === 'field' && /^\s*[!=~:<>]/.test(rest) ? option.text.replace(/[:>]$/, '') : option.text;
    const space = option.kind !== 'field' && rest === '' ? ' ' : '';
    const before = text.slice(0, this.#from) + put + space;
    return { text: before + rest, cursor: before.length };
  }

  async #fetch(text: string, cursor: number): Promise<void> {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    try {
      const params = { text, at: charactersTo(text, cursor), kind: this.#kind };
      const found = await get<Completion>('filter/complete', params, signal);
      if (signal.aborted) return;
      const typed = text.slice(indexOf(text, found.start), cursor);
      const before = text.trim() === '' ? recent(this.#kind).slice(0, RECENT_AT_MOST) : [];
      this.#of = text;
      this.#from = indexOf(text, found.start);
      this.#to = indexOf(text, found.end);
      this.begun = typed.trim() !== '';
      this.problem = found.error ?? undefined;
      this.options = [
        ...before.map((one): Option => ({ text: one, kind: 'recent' })),
        ...found.items
          .filter((item) => item.text !== typed)
          .map((item): Option => ({ ...item, kind: item.kind as Option['kind'] })),
      ];
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.options = [];
    }
  }
}
