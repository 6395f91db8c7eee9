import { expect, it } from 'vitest';
import { issues } from '../dev/findings.ts';
import { sectionOf, worstFirst } from './issues.ts';

it('puts each issue into one section', () => {
  const [one] = issues([]);
  if (!one) throw new Error('no issue');
  expect(sectionOf(one)).toBe('open');
  expect(sectionOf({ ...one, aiStatus: 'wont_fix' })).toBe('ignored');
  expect(sectionOf({ ...one, state: 'stale' })).toBe('resolved');
});

it('orders by severity, then by what fixing it saves', () => {
  expect(
    issues([])
      .sort(worstFirst)
      .map((one) => one.issueId),
  ).toEqual(['a1', 'b2', 'c3', 'd4']);
});
