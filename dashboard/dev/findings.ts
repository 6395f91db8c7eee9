// Issues of the invented shop.
import type { Request, StatefulIssue } from '../src/schema.ts';
import { ITEMS } from './world.ts';

/** What rules would say about the shop. */
export function issues(requests: Request[]): StatefulIssue[] {
  const evidence = (route: string) =>
    requests
      .filter((request) => request.route === route)
      .slice(0, 5)
      .map((request) => request.id);
  const now = Date.now();
  const life = {
    source: 'passive' as const,
    firstSeenAt: now - 840_000,
    lastSeenAt: now - 4000,
    occurrences: 37,
    cleanHitsSinceLastSeen: 0,
  };
  return [
    {
      ...life,
      issueId: 'a1',
      state: 'open',
      category: 'performance',
      issue: {
        category: 'performance',
        rule: 'n-plus-one',
        severity: 'critical',
        title: '14 queries to order_items where one would do',
        desc: 'GET /orders runs the same statement once for each order, with another order_id each time.',
        hint: 'Load the items of all orders at once: selectinload(Order.items) on the query in shop/orders.py:33.',
        endpoint: 'GET /orders',
        callSite: { file: 'shop/order_items.py', line: 39, function: 'load_order_items' },
        evidence: evidence('/orders'),
        costMs: 19.4,
        confidence: 'likely',
        fix: 'selectinload(Order.items)',
        sql: ITEMS,
      },
    },
    {
      ...life,
      issueId: 'b2',
      state: 'regressed',
      category: 'reliability',
      occurrences: 6,
      issue: {
        category: 'reliability',
        rule: 'unhandled-error',
        severity: 'critical',
        title: 'ZeroDivisionError is not handled',
        desc: 'GET /products/{product_id}/recommended answers 500 because recommend() divides by a total of 0.',
        hint: 'Return an empty list when no product has a weight.',
        endpoint: 'GET /products/{product_id}/recommended',
        callSite: { file: 'shop/recommend.py', line: 31, function: 'recommend' },
        evidence: evidence('/products/{product_id}/recommended'),
      },
    },
    {
      ...life,
      issueId: 'c3',
      state: 'open',
      category: 'performance',
      occurrences: 12,
      issue: {
        category: 'performance',
        rule: 'slow-endpoint',
        severity: 'warning',
        title: 'GET /search is slow: p95 1.3 s',
        desc: 'Nearly all of the time goes to one statement that reads the whole table.',
        hint: 'Use a full-text index instead of LIKE with a leading wildcard.',
        endpoint: 'GET /search',
        evidence: evidence('/search'),
        costMs: 940,
      },
    },
    {
      ...life,
      issueId: 'd4',
      state: 'resolved',
      category: 'performance',
      resolvedAt: now - 100_000,
      cleanHitsSinceLastSeen: 8,
      aiStatus: 'fixed',
      aiNotes: 'Added an index on cart_items.cart_id.',
      issue: {
        category: 'performance',
        rule: 'slow-query',
        severity: 'info',
        title: 'Slow read of cart_items',
        desc: 'It scanned the table.',
        hint: 'Add an index on cart_id.',
        endpoint: 'POST /checkout',
      },
    },
  ];
}
