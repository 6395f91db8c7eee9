import { expect, it } from 'vitest';
import { issues } from '../dev/findings.ts';
import { isAbout, issuesOf, sectionOf, told, worstFirst } from './issues.ts';

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

it('says nothing twice that stands beside it', () => {
  const place = { file: 'shop/pricing.py', line: 22, function: 'total_of' };
  const issue = {
    category: 'reliability' as const,
    rule: 'error',
    severity: 'critical' as const,
    title: 'KeyError in total_of',
    desc: "POST /checkout fails with KeyError at shop/pricing.py:22 in total_of: 'shipping'",
    hint: 'Handle KeyError at shop/pricing.py:22, or answer with a status.',
    detail: 'shop/pricing.py:22: return DISCOUNTS[kind]',
    endpoint: 'POST /checkout',
    callSite: place,
  };
  expect(told({ issue })).toEqual({
    says: "Fails with KeyError: 'shipping'",
    change: 'Handle KeyError, or answer with a status.',
    more: undefined,
    source: 'return DISCOUNTS[kind]',
  });
  expect(told({ issue: { ...issue, callSite: undefined } })).toEqual({
    says: "Fails with KeyError at shop/pricing.py:22 in total_of: 'shipping'",
    change: issue.hint,
    more: issue.detail,
    source: undefined,
  });
});

it('finds the open issues of a request, those seen in it first', () => {
  const all = issues([]).map((one) =>
    one.issueId === 'c3' ? { ...one, issue: { ...one.issue, evidence: ['r1'] } } : one,
  );
  expect(issuesOf('r1', all).map(({ issue, seenHere }) => [issue.issueId, seenHere])).toEqual([
    ['c3', true],
    ['a1', false],
    ['b2', false],
  ]);
});

it('knows whether an issue is about a line', () => {
  const [one] = issues([]);
  if (!one) throw new Error('no issue');
  expect(isAbout(one, { file: 'shop/order_items.py', line: 39, function: 'any' })).toBe(true);
  expect(isAbout(one, { file: 'shop/order_items.py', line: 40, function: 'any' })).toBe(false);
  expect(isAbout(one, undefined)).toBe(false);
});
