// Which rows of a long list are in the page.

export interface Shown {
  first: number;
  /** Behind the last. */
  end: number;
}

const SPARE = 8;

/** Rows to draw for a scroll position: those in view and a few on either side. All lengths in CSS pixels. */
export function shown(rows: number, rowHeight: number, top: number, height: number): Shown {
  const first = Math.max(0, Math.floor(top / rowHeight) - SPARE);
  const end = Math.min(rows, Math.ceil((top + height) / rowHeight) + SPARE);
  return { first: Math.min(first, rows), end: Math.max(end, Math.min(first, rows)) };
}

/** The scroll position that brings a row wholly into view, moving as little as possible. */
export function revealing(row: number, rowHeight: number, top: number, height: number): number {
  const start = row * rowHeight;
  if (start < top) return start;
  if (start + rowHeight > top + height) return start + rowHeight - height;
  return top;
}
