// The keyboard. A list on the page registers what moving and opening mean for it; the newest one is asked.

export interface Keyboarded {
  move(step: number): void;
  open(): void;
}

class Keys {
  help = $state(false);
  #lists: Keyboarded[] = [];
  #filters: HTMLInputElement[] = [];
  #closers: (() => void)[] = [];
  #leader = 0;
  #views = new Map<string, () => void>();

  list(list: Keyboarded): () => void {
    return registered(this.#lists, list);
  }

  filter(input: HTMLInputElement): () => void {
    return registered(this.#filters, input);
  }

  /** What Esc closes; the newest first. */
  closer(close: () => void): () => void {
    return registered(this.#closers, close);
  }

  view(letter: string, go: () => void): void {
    this.#views.set(letter, go);
  }

  handle(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const writing = event.target instanceof Element && event.target.closest('input, textarea, select, dialog[open]');
    if (writing) {
      if (event.key === 'Escape' && event.target instanceof HTMLInputElement) event.target.blur();
      return;
    }
    if (this.#act(event.key, event)) event.preventDefault();
  }

  #act(key: string, event: KeyboardEvent): boolean {
    const afterLeader = event.timeStamp - this.#leader < 1200;
    this.#leader = 0;
    if (afterLeader) {
      this.#views.get(key)?.();
      return this.#views.has(key);
    }
    const list = this.#lists.at(-1);
    switch (key) {
      case 'g':
        this.#leader = event.timeStamp;
        return true;
      case '/':
        this.#filters.at(-1)?.select();
        this.#filters.at(-1)?.focus();
        return this.#filters.length > 0;
      case '?':
        this.help = true;
        return true;
      case 'j':
      case 'k':
        list?.move(key === 'j' ? 1 : -1);
        return list !== undefined;
      case 'Enter':
        // A focused link or button keeps its own meaning of Enter.
        if (event.target instanceof Element && event.target.closest('a, button, summary')) return false;
        list?.open();
        return list !== undefined;
      case 'Escape':
        this.#closers.at(-1)?.();
        return this.#closers.length > 0;
      default:
        return false;
    }
  }
}

function registered<T>(things: T[], thing: T): () => void {
  things.push(thing);
  return () => {
    const at = things.indexOf(thing);
    if (at >= 0) things.splice(at, 1);
  };
}

export const keys = new Keys();
