// Light, dark or the system's choice; and which editor opens a call site. Both are kept in this browser.

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

class Appearance {
  theme = $state<Theme>(stored('brakit.theme', THEMES, 'system'));

  constructor() {
    this.#apply();
  }

  set(theme: Theme): void {
    this.theme = theme;
    keep('brakit.theme', theme);
    this.#apply();
  }

  #apply(): void {
    document.documentElement.dataset.theme = this.theme;
  }
}

/** The value kept under `name` when it is one of `allowed`, else `otherwise`. */
export function stored<T extends string>(name: string, allowed: readonly T[], otherwise: T): T {
  try {
    const value = localStorage.getItem(name);
    return allowed.find((candidate) => candidate === value) ?? otherwise;
  } catch {
    return otherwise; // storage may be forbidden; the page works without
  }
}

export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // As above: the choice then lasts as long as the page.
  }
}

export const appearance = new Appearance();
