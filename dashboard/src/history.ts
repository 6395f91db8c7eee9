// The filters that were used last, for each kind of list, in the browser's own storage.
import type { Kind } from './filter.ts';

const AT_MOST = 12;
const LONGEST = 500;

function keyOf(kind: Kind): string {
  return `brakit.filters.${kind}`;
}

/** Newest first. */
export function recent(kind: Kind): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(keyOf(kind)) ?? '[]');
    if (!Array.isArray(kept)) return [];
    return kept.filter((one) => typeof one === 'string' && one.length <= LONGEST).slice(0, AT_MOST);
  } catch {
    return []; // storage that is off, full of something else, or edited by hand
  }
}

/** Remember a filter that was used; one of more than 500 characters is not. */
export function remember(kind: Kind, filter: string): void {
  if (!filter || filter.length > LONGEST) return;
  try {
    const kept = [filter, ...recent(kind).filter((one) => one !== filter)].slice(0, AT_MOST);
    localStorage.setItem(keyOf(kind), JSON.stringify(kept));
  } catch {
    // Without storage nothing is remembered.
  }
}
