// Which event of a request says most about it: what the details show before anybody has chosen one.
import type { Node } from './waterfall.ts';

/** A statement or call below this, in milliseconds, says nothing about a request that took longer. */
const WORTH_MS = 1;

/** The first error, else what failed, else the longest N+1, else the slowest query or fetch, else the request itself. */
export function telling(root: Node): Node {
  const all = [...inside(root)];
  const failed = all.filter((node) => node.failed && node.kind !== 'request');
  const folds = all.filter((node) => node.repeat?.differing);
  const slow = all.filter((node) => (node.kind === 'query' || node.kind === 'fetch') && node.durationMs >= WORTH_MS);
  return (
    failed.find((node) => node.kind === 'error') ??
    failed.find((node) => node.kind !== 'log') ??
    failed[0] ??
    most(folds, (node) => node.repeat?.count ?? 0) ??
    most(slow, (node) => node.durationMs) ??
    root
  );
}

function* inside(node: Node): Generator<Node> {
  for (const child of node.children) {
    yield child;
    yield* inside(child);
  }
}

function most(nodes: Node[], by: (node: Node) => number): Node | undefined {
  return nodes.reduce<Node | undefined>((best, node) => (best && by(best) >= by(node) ? best : node), undefined);
}
