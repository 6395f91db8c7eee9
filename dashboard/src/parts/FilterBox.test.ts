import { flushSync, mount, tick, unmount } from 'svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { recent } from '../history.ts';
import type { Completion, FilterProblem } from '../schema.ts';
import FilterBox from './FilterBox.svelte';

const ANSWERS: Record<string, Completion> = {
  '': { start: 0, end: 0, items: [{ text: 'status:', kind: 'field', doc: 'How it ended.' }] },
  '😀 sta': {
    start: 2,
    end: 5,
    items: [
      { text: 'status:', kind: 'field', doc: 'How it ended.' },
      { text: 'started:', kind: 'field', doc: '<img src=x>' },
    ],
  },
  '😀 status:': { start: 9, end: 9, items: [{ text: '<b>5xx', kind: 'value', count: 3 }] },
};
const WRONG: FilterProblem = { error: 'There is no field size', column: 3, expected: ['a field'] };

let asked: URLSearchParams[] = [];
let filtering: { kind: 'log'; text: string; problem?: FilterProblem; set: ReturnType<typeof vi.fn> };
let mounted: Record<string, unknown>;
const input = () => document.querySelector('input') as HTMLInputElement;
const options = () => [...document.querySelectorAll('[role="option"]')];

beforeEach(() => {
  localStorage.clear();
  asked = [];
  vi.useFakeTimers();
  vi.stubGlobal('fetch', (url: string) => {
    const params = new URL(url, 'http://test').searchParams;
    asked.push(params);
    const text = params.get('text') ?? '';
    const answer = ANSWERS[text] ?? { start: text.length, end: text.length, items: [] };
    return Promise.resolve(
      new Response(JSON.stringify({ ...answer, error: text.includes('wrong') ? WRONG : undefined })),
    );
  });
  filtering = { kind: 'log', text: '', set: vi.fn() };
  mounted = mount(FilterBox, {
    target: document.body,
    props: { filtering: filtering as never, label: 'Filter logs', placeholder: '' },
  });
  flushSync();
});

afterEach(async () => {
  await unmount(mounted);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(200);
  await tick();
  flushSync();
}

async function type(text: string): Promise<void> {
  input().value = text;
  input().setSelectionRange(text.length, text.length);
  input().dispatchEvent(new Event('input', { bubbles: true }));
  await settled();
}

async function press(key: string): Promise<KeyboardEvent> {
  const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
  input().dispatchEvent(event);
  await settled();
  return event;
}

it('completes at the cursor, counted in characters, and says which option is meant', async () => {
  await type('😀 sta');
  expect(asked.at(-1)?.get('at')).toBe('5');
  expect(asked.at(-1)?.get('kind')).toBe('log');
  expect(input().getAttribute('aria-expanded')).toBe('true');
  expect(input().hasAttribute('aria-activedescendant')).toBe(false);
  await press('ArrowDown');
  expect(input().getAttribute('aria-activedescendant')).toBe(options()[0]?.id);
  await press('ArrowDown');
  await press('ArrowDown');
  expect(input().hasAttribute('aria-activedescendant')).toBe(false);
  await press('ArrowUp');
  await press('ArrowUp');
  await press('Enter');
  expect(input().value).toBe('😀 status:');
  expect(filtering.set).not.toHaveBeenCalled();
  await press('ArrowDown');
  await press('Tab');
  expect(input().value).toBe('😀 status:<b>5xx ');
});

it('leaves Tab to the page where nothing was begun', async () => {
  input().dispatchEvent(new FocusEvent('focus'));
  await settled();
  expect(options()).toHaveLength(1);
  expect((await press('Tab')).defaultPrevented).toBe(false);
  await type('😀 sta');
  expect((await press('Tab')).defaultPrevented).toBe(true);
});

it('closes with Escape, and then leaves it to the page', async () => {
  await type('😀 sta');
  expect((await press('Escape')).defaultPrevented).toBe(true);
  expect(options()).toHaveLength(0);
  expect((await press('Escape')).defaultPrevented).toBe(false);
});

it('applies with Enter, remembers it and offers it again', async () => {
  await type('  lamp ');
  await press('Enter');
  expect(filtering.set).toHaveBeenCalledWith('lamp');
  expect(recent('log')).toEqual(['lamp']);
  await type('');
  expect(options()[0]?.textContent).toContain('lamp');
});

it('tells what is wrong at its place, once it was tried, and goes on telling until it is right', async () => {
  await type('a wrong');
  expect(document.querySelector('[role="alert"]')).toBeNull();
  await press('Enter');
  const alert = document.querySelector('[role="alert"]');
  expect(alert?.querySelector('mark')?.textContent).toBe('w');
  expect(alert?.textContent).toContain('a field');
  expect(input().getAttribute('aria-invalid')).toBe('true');
  expect(document.getElementById(input().getAttribute('aria-errormessage') ?? '')).toBe(alert);
  expect(filtering.set).not.toHaveBeenCalled();
  expect(recent('log')).toEqual([]);
  await type('a right');
  expect(document.querySelector('[role="alert"]')).toBeNull();
});

it('shows what was captured as text', async () => {
  await type('😀 sta');
  await type('😀 status:');
  expect(options()[0]?.textContent).toContain('<b>5xx');
  expect(document.querySelectorAll('b, img')).toHaveLength(0);
});
