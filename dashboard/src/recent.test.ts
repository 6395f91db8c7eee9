import { describe, expect, it } from 'vitest';
import { fitting, lately } from './recent.ts';

const NOW = 1_700_000_000_000;
const run = (first: number, last: number) => ({
  firstSeenAt: NOW - first * 60_000,
  lastSeenAt: NOW - last * 60_000,
});

describe('the window that fits', () => {
  it('begins where the data begins, and is a quarter of an hour at most', () => {
    expect(fitting([run(0.4, 0)], NOW)).toBe(1);
    expect(fitting([run(2.5, 0.1), run(2.2, 0)], NOW)).toBe(3);
    expect(fitting([run(300, 0)], NOW)).toBe(15);
  });

  it('does not count processes that ended long ago', () => {
    expect(fitting([run(600, 500), run(3, 0)], NOW)).toBe(3);
  });

  it('reaches back when all is quiet', () => {
    expect(fitting([run(600, 500)], NOW)).toBe(515);
    expect(fitting([run(60_000, 50_000)], NOW)).toBe(10_080);
  });

  it('is the usual one without data', () => {
    expect(fitting([], NOW)).toBe(15);
  });

  it('has a name', () => {
    expect([1, 3, 60, 1440, 10_080].map(lately)).toEqual([
      'last minute',
      'last 3 minutes',
      'last hour',
      'last 24 hours',
      'last 7 days',
    ]);
  });
});
