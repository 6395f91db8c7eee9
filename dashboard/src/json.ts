// JSON bodies: parsed when they are whole, coloured when they were cut.
import type { Token } from './sql.ts';

export type JsonKind = 'key' | 'string' | 'number' | 'literal' | 'punctuation' | 'space';
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The parsed body, or undefined when it is no JSON object or list (or was cut short). */
export function parsed(body: string): Json | undefined {
  if (!/^\s*[[{]/.test(body)) return undefined;
  try {
    return JSON.parse(body) as Json;
  } catch {
    return undefined;
  }
}

const PATTERN = /("(?:[^"\\]|\\.)*"?)(\s*:)?|(-?\d[\d.eE+-]*)|(true|false|null)\b|(\s+)|([\s\S])/g;

/** Split a JSON text, whole or not, into tokens; joined they are the text again. */
export function tokens(text: string): Token<JsonKind>[] {
  const found: Token<JsonKind>[] = [];
  for (const [, quoted, colon, number, literal, space, other] of text.matchAll(PATTERN)) {
    if (quoted !== undefined) {
      found.push({ kind: colon ? 'key' : 'string', text: quoted });
      if (colon) found.push({ kind: 'punctuation', text: colon });
    } else if (number !== undefined) found.push({ kind: 'number', text: number });
    else if (literal !== undefined) found.push({ kind: 'literal', text: literal });
    else if (space !== undefined) found.push({ kind: 'space', text: space });
    else if (other !== undefined) found.push({ kind: 'punctuation', text: other });
  }
  return found;
}

/** What a folded value shows: `{3}`, `[12]`. */
export function size(value: Json): string {
  if (Array.isArray(value)) return `[${value.length}]`;
  return value !== null && typeof value === 'object' ? `{${Object.keys(value).length}}` : '';
}
