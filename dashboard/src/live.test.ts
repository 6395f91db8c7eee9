import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { live as Live } from './live.svelte.ts';

class FakeSource extends EventTarget {
  static CLOSED = 2;
  static opened: FakeSource[] = [];
  readyState = 1;
  onopen: () => void = () => undefined;
  onerror: () => void = () => undefined;
  readonly asked: URLSearchParams;

  constructor(url: string) {
    super();
    this.asked = new URL(url, 'http://test').searchParams;
    FakeSource.opened.push(this);
  }

  close(): void {
    this.readyState = FakeSource.CLOSED;
  }

  batch(lastEventId: string, ...events: [string, unknown][]): void {
    this.dispatchEvent(new MessageEvent('batch', { data: JSON.stringify(events), lastEventId }));
  }
}

let live: typeof Live;
const newest = () => FakeSource.opened.at(-1) as FakeSource;

beforeEach(async () => {
  vi.resetModules();
  vi.useFakeTimers();
  vi.stubGlobal('EventSource', FakeSource);
  FakeSource.opened = [];
  ({ live } = await import('./live.svelte.ts'));
  live.connect();
  newest().onopen();
  return () => {
    live.close();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  };
});

describe('narrow', () => {
  it('asks for all other kinds and for what fits, from where the stream was', () => {
    newest().batch('41', ['issues', []]);
    const list = {};
    live.narrow(list, 'request', 'status:5xx OR lamp');
    expect(FakeSource.opened.map((source) => source.readyState)).toEqual([2, 1]);
    expect(Object.fromEntries(newest().asked)).toEqual({
      batch: '1',
      lastEventId: '41',
      filter: '-kind:request OR (status:5xx OR lamp)',
    });
    live.narrow(list, 'request', 'status:5xx OR lamp');
    expect(FakeSource.opened).toHaveLength(2);
    live.widen(list);
    expect(newest().asked.has('filter')).toBe(false);
  });

  it('drops what waits of that kind only: the list that is loaded next has it', () => {
    const requests = vi.fn();
    const logs = vi.fn();
    live.on('request', requests);
    live.on('log', logs);
    live.pause();
    newest().batch('7', ['log', { id: 'l' }], ['request', { id: 'r' }]);
    expect(live.held).toBe(2);
    live.narrow({}, 'request', 'x');
    expect(live.held).toBe(1);
    live.resume();
    expect(requests).not.toHaveBeenCalled();
    expect(logs).toHaveBeenCalledWith([{ id: 'l' }]);
  });

  it('is not undone by the list that was there before', () => {
    const before = {};
    live.narrow(before, 'request', 'x');
    live.narrow({}, 'log', 'y');
    live.widen(before);
    expect(newest().asked.get('filter')).toBe('-kind:log OR (y)');
  });

  it('has everything loaded again where the stream had no place yet', () => {
    const resync = vi.fn();
    live.on('resync', resync);
    live.narrow({}, 'request', 'x');
    newest().onopen();
    vi.advanceTimersByTime(100);
    expect(resync).toHaveBeenCalledOnce();
  });
});
