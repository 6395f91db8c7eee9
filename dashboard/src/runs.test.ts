import { expect, it } from 'vitest';
import { lost, newestRuns } from './runs.ts';
import type { Run } from './schema.ts';

const run = (service: string, id: string, lastSeenAt: number): Run => ({
  run: id,
  service,
  firstSeenAt: 0,
  lastSeenAt,
  events: 1,
});

it('lets the newest process speak for its service', () => {
  const found = newestRuns([run('shop', 'a', 1), run('payments', 'b', 5), run('shop', 'c', 9), run('shop', 'd', 4)]);
  expect(found.map(({ run, earlier }) => [run.run, earlier])).toEqual([
    ['c', 2],
    ['b', 0],
  ]);
});

it('counts what did not arrive and says what it means', () => {
  expect(lost({ dropped: {}, rejected: 0 })).toEqual([]);
  const found = lost({ dropped: { buffer_full: 2, odd: 7, encoding: 0 }, rejected: 3 });
  expect(found.map(({ reason, number }) => [reason, number])).toEqual([
    ['odd', 7],
    ['malformed', 3],
    ['buffer_full', 2],
  ]);
  expect(found.every(({ means }) => means.endsWith('.'))).toBe(true);
});
