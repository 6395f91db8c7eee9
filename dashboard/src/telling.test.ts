import { describe, expect, it } from 'vitest';
import { telling } from './telling.ts';
import type { Node } from './waterfall.ts';

function node(id: string, kind: Node['kind'], more: Partial<Node> = {}): Node {
  return { id, kind, label: id, start: 0, durationMs: 0, failed: false, children: [], ...more };
}
const root = (...children: Node[]) => node('root', 'request', { durationMs: 50, children });
const many = (id: string, count: number, differing = true) =>
  node(id, 'fold', { repeat: { count, differing, busyMs: count } });

describe('the telling event', () => {
  it('is the first error, wherever it is', () => {
    const inner = node('child', 'request', { failed: true, children: [node('cause', 'error', { failed: true })] });
    const fetch = node('fetch', 'fetch', { failed: true, durationMs: 30, children: [inner] });
    expect(telling(root(many('n1', 30), fetch, node('late', 'error', { failed: true }))).id).toBe('cause');
  });

  it('is what failed before an N+1, and a log only when nothing else failed', () => {
    const log = node('log', 'log', { failed: true });
    expect(telling(root(log, node('query', 'query', { failed: true }), many('n1', 9))).id).toBe('query');
    expect(telling(root(many('n1', 9), log)).id).toBe('log');
  });

  it('is a job that failed without saying why, but never the request that an error made fail', () => {
    const job = node('job', 'job', { failed: true });
    expect(telling(root(job, many('n1', 9))).id).toBe('job');
    expect(telling(root(node('child', 'request', { failed: true }), many('n1', 9))).id).toBe('n1');
  });

  it('is the longest N+1 before the slowest query; equal repeats are none', () => {
    const slow = node('slow', 'query', { durationMs: 900 });
    expect(telling(root(slow, many('short', 4), many('long', 12))).id).toBe('long');
    expect(telling(root(many('same', 12, false), slow)).id).toBe('slow');
  });

  it('is the slowest query or fetch, and the request where neither took a while', () => {
    const query = node('query', 'query', { durationMs: 3 });
    expect(telling(root(query, node('fetch', 'fetch', { durationMs: 20 }))).id).toBe('fetch');
    expect(telling(root(node('quick', 'query', { durationMs: 0.2 }), node('log', 'log'))).id).toBe('root');
    expect(telling(root()).id).toBe('root');
  });
});
