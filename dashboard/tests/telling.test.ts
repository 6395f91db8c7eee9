// What the engine knows of an issue or a log stands where it is looked at.
import { flushSync, mount, unmount, type Component } from 'svelte';
import { afterEach, expect, it } from 'vitest';
import IssueCard from '../src/parts/IssueCard.svelte';
import LogView from '../src/parts/LogView.svelte';
import type { Log, StatefulIssue } from '../src/schema.ts';
import { World } from '../dev/server.ts';

const [issue] = new World(20).issues as [StatefulIssue];
const log: Log = { id: '1', timestamp: 0, parentRequestId: null, level: 'error', message: 'It failed' };

let mounted: Record<string, unknown>;
afterEach(() => unmount(mounted));

function shown<P extends Record<string, unknown>>(part: Component<P>, props: P): HTMLElement {
  document.body.replaceChildren();
  mounted = mount(part as unknown as Component<Record<string, unknown>>, { target: document.body, props });
  flushSync();
  return document.body;
}

it('shows the fix of an issue, to be copied, and how sure it is', () => {
  const card = shown(IssueCard, {
    issue: { ...issue, issue: { ...issue.issue, fix: 'joinedload(A.b)', confidence: 'possible' as const } },
  });
  expect([...card.querySelectorAll('code')].map((one) => one.textContent)).toContain('joinedload(A.b)');
  expect([...card.querySelectorAll('.badge')].map((one) => one.textContent)).toContain('possible');
});

it('makes nothing of a certain issue without a fix', () => {
  const card = shown(IssueCard, {
    issue: { ...issue, issue: { ...issue.issue, fix: undefined, confidence: 'certain' as const } },
  });
  expect([...card.querySelectorAll('.badge')].map((one) => one.textContent)).not.toContain('certain');
  expect(card.querySelector('.fix')).toBeNull();
});

it('links a log to its error', () => {
  const link = shown(LogView, { log: { ...log, errorId: 'abc' } }).querySelector('a');
  expect(link?.getAttribute('href')).toBe('/__brakit/errors?filter=id%3Aabc&group=abc');
});
