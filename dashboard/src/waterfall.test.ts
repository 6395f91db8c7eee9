import { describe, expect, it } from 'vitest';
import { World } from '../dev/server.ts';
import type { Job, JobDetail, Query, Request, RequestDetail, Span } from './schema.ts';
import { find, folded, pageOf, place, rows, scale, split, ticks, tree, type Entry, type Node } from './waterfall.ts';

const REQUEST: Request = {
  id: 'r1',
  timestamp: 1000,
  startedAt: 1000,
  parentRequestId: null,
  method: 'GET',
  url: '/orders?page=1',
  path: '/orders',
  statusCode: 200,
  durationMs: 100,
  headers: {},
  responseHeaders: {},
  requestBody: null,
  responseBody: null,
  responseSize: 0,
  isStatic: false,
  isHealthCheck: false,
};

function query(id: string, at: number, more: Partial<Query> = {}): Entry {
  const data: Query = {
    id,
    timestamp: at,
    parentRequestId: 'r1',
    driver: 'sqlalchemy',
    operation: 'SELECT',
    normalizedOp: 'SELECT',
    table: 'items',
    durationMs: 5,
    sql: 'SELECT 1',
    shapeHash: 's',
    ...more,
  };
  return { type: 'query', timestamp: at, data };
}

function span(id: string, spanId: string, at: number, parentId = 'r1'): Entry {
  const data: Span = { id, timestamp: at, parentRequestId: 'r1', parentId, name: id, durationMs: 50, spanId };
  return { type: 'span', timestamp: at, data };
}

const detail = (timeline: Entry[], children: RequestDetail['children'] = []) => ({
  request: REQUEST,
  timeline,
  children,
});
const outline = (node: Node): unknown =>
  node.children.length > 0 ? { [node.id]: node.children.map(outline) } : node.id;

describe('tree', () => {
  it('puts events into the span that they name as parent', () => {
    const timeline = [
      query('q2', 1060),
      span('outer', 'sp1', 1005),
      span('inner', 'sp2', 1010, 'sp1'),
      query('q1', 1012, { parentId: 'sp2' }),
    ];
    expect(outline(tree(detail(timeline)))).toEqual({ r1: [{ outer: [{ inner: ['q1'] }] }, 'q2'] });
  });

  it('survives spans that name each other as parent', () => {
    const root = tree(detail([span('a', 'sp1', 1001, 'sp2'), span('b', 'sp2', 1002, 'sp1')]));
    expect(rows(root, new Set()).map((row) => row.node.id)).toContain('b');
  });

  it('nests the request that a fetch caused under the fetch, at any depth', () => {
    const fetch = (id: string, fetchId: string): Entry => ({
      type: 'fetch',
      timestamp: 1010,
      data: {
        id,
        timestamp: 1010,
        parentRequestId: 'r1',
        url: 'http://b/x',
        method: 'GET',
        statusCode: 200,
        durationMs: 60,
        fetchId,
      },
    });
    const child = (id: string, parentFetchId: string, timeline: Entry[]) => ({
      type: 'request' as const,
      request: { ...REQUEST, id, parentFetchId, timestamp: 1011 },
      timeline,
    });
    const root = tree(detail([fetch('f1', 'x1')], [child('r3', 'x2', []), child('r2', 'x1', [fetch('f2', 'x2')])]));
    expect(outline(root)).toEqual({ r1: [{ f1: [{ r2: [{ f2: ['r3'] }] }] }] });
  });

  it('keeps a caused request that no fetch claims', () => {
    expect(outline(tree(detail([], [{ type: 'request', request: { ...REQUEST, id: 'r2' }, timeline: [] }])))).toEqual({
      r1: ['r2'],
    });
  });

  it('draws every event of every invented request exactly once', () => {
    const world = new World(60);
    for (const request of world.all.requests) {
      const whole = world.answer(`requests/${request.id}`, new URLSearchParams()) as RequestDetail;
      const root = tree(whole);
      const folds = rows(root, new Set()).filter((row) => row.node.kind === 'fold');
      const drawn = rows(root, new Set(folds.map((row) => row.node.id))).filter(
        (row) => row.node.entry && row.node.kind !== 'fold',
      );
      const elsewhere = rows(root, new Set()).filter((row) => row.node.later !== undefined);
      const inside = whole.children.filter(
        (child) => child.type === 'request' || elsewhere.every((row) => row.node.id !== child.job.id),
      );
      const expected = [...whole.timeline, ...inside.flatMap((child) => child.timeline)].map((entry) => entry.data.id);
      expect(drawn.map((row) => row.node.id).sort()).toEqual(expected.sort());
    }
  });
});

describe('jobs in a tree', () => {
  // The request runs from 1000 to 1100.
  const job = (id: string, at: number, more: Partial<Job> = {}, timeline: Entry[] = []): JobChild => ({
    type: 'job',
    job: { id, timestamp: at, parentRequestId: 'r1', name: `shop.${id}`, durationMs: 40, ...more },
    timeline,
  });
  type JobChild = Extract<RequestDetail['children'][number], { type: 'job' }>;

  it('have their own events inside, at their own time, and stretch the scale', () => {
    const root = tree(detail([query('q', 1001)], [job('mail', 1150, {}, [query('sent', 1160)])]));
    expect(outline(root)).toEqual({ r1: ['q', { mail: ['sent'] }] });
    expect(root.children[1]).toMatchObject({ kind: 'job', label: 'shop.mail', failed: false });
    expect(scale(root)).toEqual({ start: 1000, length: 190 });
  });

  it('are one line that does not stretch the scale where they began much later or took much longer', () => {
    const edge = job('edge', 1300, {}, [query('e', 1301)]);
    const later = job('later', 1301, {}, [query('l', 1302)]);
    const longer = job('longer', 1050, { durationMs: 2001 }, [query('m', 1060)]);
    const root = tree(detail([], [longer, edge, later]));
    expect(outline(root)).toEqual({ r1: ['longer', { edge: ['e'] }, 'later'] });
    expect(root.children.map((node) => node.later)).toEqual([-50, undefined, 201]);
    expect(scale(root)).toEqual({ start: 1000, length: 340 });
  });

  it('stand under what enqueued them, and still do when that is one line', () => {
    const first = job('first', 9000, {}, [query('q', 9001)]);
    const second = job('second', 9100, { parentRequestId: 'first' });
    const stranger = job('stranger', 1010, { parentRequestId: 'nobody' });
    expect(outline(tree(detail([], [second, stranger, first])))).toEqual({ r1: ['stranger', { first: ['second'] }] });
  });

  it('survive naming each other as their cause', () => {
    const one = job('one', 1001, { parentRequestId: 'two' });
    const two = job('two', 1002, { parentRequestId: 'one' });
    expect(rows(tree(detail([], [one, two])), new Set()).map((row) => row.node.id)).toEqual(['r1', 'two', 'one']);
  });

  it('fail as they ended; one that is tried again has not failed yet', () => {
    const failed = (more: Partial<Job>) => tree(detail([], [job('j', 1001, more)])).children[0]?.failed;
    expect(failed({ status: 'failed' })).toBe(true);
    expect(failed({ status: 'rejected' })).toBe(true);
    expect(failed({ status: 'retried', error: 'TimeoutError: slow' })).toBe(false);
    expect(failed({ error: 'ValueError: no' })).toBe(true);
    expect(failed({})).toBe(false);
  });

  it('are the root of their own page', () => {
    const own = job('mail', 5000, { service: 'shop' }, [query('q', 5001)]);
    const root = tree({
      job: own.job,
      timeline: own.timeline,
      children: [job('next', 5060, { parentRequestId: 'mail' })],
    });
    expect(outline(root)).toEqual({ mail: ['q', 'next'] });
    expect(root).toMatchObject({ kind: 'job', label: 'shop.mail', service: 'shop' });
    expect([pageOf(own.job), pageOf(REQUEST)]).toEqual(['jobs/mail', 'requests/r1']);
    expect(split(own.job, own.timeline)).toEqual({ db: 5, fetch: 0, app: 35 });
  });

  it('of the invented world have pages whose events are all drawn', () => {
    const world = new World(600);
    expect(world.all.jobs.length).toBeGreaterThan(0);
    for (const { id } of world.all.jobs) {
      const whole = world.answer(`jobs/${id}`, new URLSearchParams()) as JobDetail;
      const drawn = rows(tree(whole), new Set()).filter((row) => row.node.entry);
      expect(drawn.map((row) => row.node.id).sort()).toEqual(whole.timeline.map((entry) => entry.data.id).sort());
    }
  });
});

describe('folded', () => {
  it('folds three equal queries in a row and says whether their parameters differ', () => {
    const timeline = [
      query('a', 1001, { paramsHash: '1' }),
      query('b', 1010, { paramsHash: '2' }),
      query('c', 1020, { paramsHash: '3' }),
    ];
    const [fold] = tree(detail(timeline)).children;
    expect(fold).toMatchObject({
      kind: 'fold',
      repeat: { count: 3, differing: true, busyMs: 15 },
      start: 1001,
      durationMs: 24,
    });
    const same = timeline.map((entry) => ({ ...entry, data: { ...entry.data, paramsHash: '1' } }) as Entry);
    expect(tree(detail(same)).children[0]?.repeat?.differing).toBe(false);
  });

  it('leaves two, other shapes and interrupted runs alone', () => {
    const kinds = (timeline: Entry[]) => tree(detail(timeline)).children.map((node) => node.kind);
    expect(kinds([query('a', 1001), query('b', 1002)])).toEqual(['query', 'query']);
    expect(kinds([query('a', 1001), query('b', 1002, { shapeHash: 't' }), query('c', 1003), query('d', 1004)])).toEqual(
      Array(4).fill('query'),
    );
    const commit = { sql: 'COMMIT', shapeHash: 'c', transactionMark: 'commit' };
    expect(kinds([query('a', 1001, commit), query('b', 1002, commit), query('c', 1003, commit)])).toEqual(
      Array(3).fill('transaction'),
    );
    expect(folded([])).toEqual([]);
  });

  it('is closed until it is toggled, and found with the fold around it', () => {
    const root = tree(detail([query('a', 1001), query('b', 1010), query('c', 1020)]));
    expect(rows(root, new Set()).map((row) => row.node.id)).toEqual(['r1', 'fold-a']);
    expect(rows(root, new Set(['fold-a'])).map((row) => row.node.id)).toEqual(['r1', 'fold-a', 'a', 'b', 'c']);
    expect(find(root, 'b')?.folds).toEqual(['fold-a']);
    expect(find(root, 'nothing')).toBeUndefined();
  });
});

describe('scale', () => {
  it('covers events that run past the request', () => {
    const on = scale(tree(detail([query('late', 1090, { durationMs: 60 })])));
    expect(on).toEqual({ start: 1000, length: 150 });
    expect(place({ start: 1090, durationMs: 60 }, on)).toEqual({ left: 60, width: 40 });
  });

  it('never has a length of zero', () => {
    expect(scale(tree({ request: { ...REQUEST, durationMs: 0 }, timeline: [], children: [] })).length).toBeGreaterThan(
      0,
    );
  });

  it('has round lines that stay inside', () => {
    expect(ticks({ start: 0, length: 36 })).toEqual([0, 10, 20, 30]);
    expect(ticks({ start: 0, length: 1 })).toHaveLength(6);
    expect(ticks({ start: 0, length: 0.37 }).at(-1)).toBeLessThanOrEqual(0.37);
  });
});

describe('split', () => {
  it('counts overlapping queries once', () => {
    const timeline = [query('a', 1000, { durationMs: 20 }), query('b', 1010, { durationMs: 20 })];
    expect(split(REQUEST, timeline)).toEqual({ db: 30, fetch: 0, app: 70 });
  });
});

describe('background tasks', () => {
  it('hold what a request does after its response is out, and only that', () => {
    const timeline = [
      query('before', 1001),
      {
        type: 'span',
        timestamp: 1050,
        data: {
          id: 's',
          timestamp: 1050,
          parentRequestId: 'r',
          name: 'background tasks',
          spanId: 's1',
          durationMs: 40,
        },
      } as Entry,
      query('after', 1060),
    ];
    const [before, background] = tree(detail(timeline)).children;
    expect(before?.id).toBe('before');
    expect(background?.children.map((node) => node.id)).toEqual(['after']);
  });
});
