import { beforeEach, expect, it } from 'vitest';
import { recent, remember } from './history.ts';

beforeEach(() => localStorage.clear());

it('keeps the newest of each kind of list, each once', () => {
  for (let number = 0; number < 20; number++) remember('log', `line:${number}`);
  remember('log', 'line:15');
  expect(recent('log').slice(0, 3)).toEqual(['line:15', 'line:19', 'line:18']);
  expect(recent('log')).toHaveLength(12);
  expect(new Set(recent('log')).size).toBe(12);
  expect(recent('job')).toEqual([]);
});

it('remembers neither nothing nor very long ones', () => {
  remember('log', '');
  remember('log', 'x'.repeat(501));
  expect(recent('log')).toEqual([]);
});

it('is not disturbed by what else is kept there', () => {
  for (const text of ['{', '{"a":1}', '[1, null, "kept"]', '"text"']) {
    localStorage.setItem('brakit.filters.log', text);
    expect(recent('log')).toEqual(text.includes('kept') ? ['kept'] : []);
  }
});
