import { expect, it } from 'vitest';
import { revealing, shown } from './window.ts';

it('draws what is in view and a few more', () => {
  expect(shown(1000, 40, 4000, 400)).toEqual({ first: 92, end: 118 });
  expect(shown(3, 40, 0, 400)).toEqual({ first: 0, end: 3 });
  expect(shown(0, 40, 0, 400)).toEqual({ first: 0, end: 0 });
});

it('stays within a list that became shorter', () => {
  expect(shown(10, 40, 4000, 400)).toEqual({ first: 10, end: 10 });
});

it('scrolls no further than needed', () => {
  expect(revealing(2, 40, 0, 400)).toBe(0);
  expect(revealing(10, 40, 0, 400)).toBe(40);
  expect(revealing(1, 40, 200, 400)).toBe(40);
});
