import { expect, it } from 'vitest';
import { ApiError } from './api.ts';
import { RecordList, type Page } from './list.svelte.ts';

interface Row {
  id: string;
}
const row = (id: number): Row => ({ id: String(id) });
const ids = (list: RecordList<Row>) => list.rows.map((one) => one.id).join(' ');

it('pages backwards and puts live rows in front, each once', async () => {
  const asked: (string | undefined)[] = [];
  const list = new RecordList<Row>((before) => {
    asked.push(before);
    return Promise.resolve(
      before ? { total: 4, rows: [row(2), row(1)] } : { total: 4, rows: [row(4), row(3)], next: 'c3' },
    );
  });
  await list.load();
  expect([ids(list), list.hasOlder, list.loading]).toEqual(['4 3', true, false]);
  list.add([row(4), row(5), row(6)]);
  expect([ids(list), list.total]).toEqual(['6 5 4 3', 6]);
  await list.older();
  expect([ids(list), list.hasOlder]).toEqual(['6 5 4 3 2 1', false]);
  await list.older();
  expect(asked).toEqual([undefined, 'c3']);
});

it('ignores the answer to a question that was replaced', async () => {
  const answers: ((rows: Row[]) => void)[] = [];
  const list = new RecordList<Row>(
    () => new Promise((resolve) => answers.push((rows) => resolve({ total: rows.length, rows }))),
  );
  const first = list.load();
  const second = list.load();
  answers[1]?.([row(2)]);
  await second;
  answers[0]?.([row(1)]);
  await first;
  expect(ids(list)).toBe('2');
});

it('says what went wrong and keeps what it has', async () => {
  let broken = false;
  const list = new RecordList<Row>(() =>
    broken ? Promise.reject(new ApiError('The server is away.', 0)) : Promise.resolve({ total: 1, rows: [row(1)] }),
  );
  await list.load();
  broken = true;
  await list.load();
  expect([ids(list), list.failed]).toEqual(['1', 'The server is away.']);
  broken = false;
  await list.load();
  expect(list.failed).toBeUndefined();
});

it('keeps what arrived while the first page was on its way', async () => {
  let answer: (page: Page<Row>) => void = () => undefined;
  const list = new RecordList<Row>(() => new Promise((resolve) => (answer = resolve)));
  list.add([row(1)]);
  expect(ids(list)).toBe('');
  const loading = list.load();
  list.add([row(3), row(4)]);
  answer({ total: 3, rows: [row(3), row(2), row(1)] });
  await loading;
  expect([ids(list), list.total]).toEqual(['4 3 2 1', 4]);
});

it('goes on with a search that took too long only when it is asked to', async () => {
  const asked: (string | undefined)[] = [];
  const list = new RecordList<Row>((before) => {
    asked.push(before);
    return Promise.resolve(
      before ? { total: 1, rows: [row(1)], complete: true } : { total: 0, rows: [], next: '50', complete: false },
    );
  });
  await list.load();
  expect([list.complete, list.hasOlder, list.tally('row')]).toEqual([false, true, '0+ rows']);
  await list.older();
  expect(asked).toEqual([undefined]);
  await list.goOn();
  expect(asked).toEqual([undefined, '50']);
  expect([ids(list), list.complete, list.tally('row')]).toEqual(['1', true, '1 row']);
});

it('says that there may be more than were counted', async () => {
  const list = new RecordList<Row>(() => Promise.resolve({ total: 1000, rows: [row(1)], atLeast: true }));
  await list.load();
  expect(list.tally('query', 'queries')).toBe('1,000+ queries');
});

it('shows nothing once it was stopped', async () => {
  const list = new RecordList<Row>(() => Promise.resolve({ total: 1, rows: [row(1)] }));
  await list.load();
  list.stop();
  list.add([row(2)]);
  expect([ids(list), list.total, list.loading]).toEqual(['', 0, false]);
});
