import { expect, it } from 'vitest';
import { parsed, size, tokens } from './json.ts';

it('parses whole objects and lists only', () => {
  expect(parsed('{"a": [1]}')).toEqual({ a: [1] });
  expect(parsed('{"a": [1')).toBeUndefined();
  expect(parsed('plain')).toBeUndefined();
  expect(parsed('12')).toBeUndefined();
});

it('colours a body that was cut short, and loses nothing of it', () => {
  const cut = '{"name": "Lamp", "price": -1.5e3, "ok": true, "rest": "unfin';
  const found = tokens(cut);
  expect(found.map((token) => token.text).join('')).toBe(cut);
  expect(found.filter((token) => token.kind === 'key').map((token) => token.text)).toEqual([
    '"name"',
    '"price"',
    '"ok"',
    '"rest"',
  ]);
  expect(found.at(-1)).toEqual({ kind: 'string', text: '"unfin' });
});

it('says how much a folded value holds', () => {
  expect(size([1, 2])).toBe('[2]');
  expect(size({ a: 1 })).toBe('{1}');
  expect(size('text')).toBe('');
});
