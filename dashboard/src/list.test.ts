import { expect, it } from 'vitest';
import { ApiError } from './api.ts';
import { RecordList } from './list.svelte.ts';

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
