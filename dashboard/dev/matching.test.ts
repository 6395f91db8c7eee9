import { expect, it } from 'vitest';
import { complete, matches } from './matching.ts';
import { visit } from './world.ts';
import type { Request } from '../src/schema.ts';

const [request] = visit(1_700_000_000_000).requests as [Request];

it('fits words and values of fields', () => {
  const failed = { ...request, method: 'POST', statusCode: 502, url: '/a', requestBody: 'Lamp', service: 'shop' };
  for (const filter of ['', 'lAMP', 'status:5xx method:POST', 'status:502', 'service="shop"'])
    expect(matches(failed, filter), filter).toBe(true);
  for (const filter of ['desk', 'status:500', 'method:GET lamp']) expect(matches(failed, filter), filter).toBe(false);
});

it('completes fields and their values', () => {
  expect(complete('sta', 3)).toMatchObject({ start: 0, end: 3, items: [{ text: 'status:' }] });
  expect(complete('status:5', 8)).toMatchObject({ start: 7, items: [{ text: '5xx' }] });
  expect(complete('"a', 2).error?.column).toBe(1);
});
