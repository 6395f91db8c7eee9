import { expect, it } from 'vitest';
import { ago, bytes, count, dotted, duration, percent, plural, since } from './format.ts';

it.each([
  [undefined, '–'],
  [0, '0 ms'],
  [0.04, '40 µs'],
  [0.421, '0.42 ms'],
  [4.26, '4.3 ms'],
  [12.4, '12 ms'],
  [1240, '1.24 s'],
  [125_000, '2 min 5 s'],
])('duration of %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

it('writes sizes, counts, shares and ages', () => {
  expect([bytes(512), bytes(1234), bytes(3_400_000), bytes(null)]).toEqual(['512 B', '1.2 kB', '3.4 MB', '–']);
  expect([count(1234), count(123_456), count(1_234_567)]).toEqual(['1,234', '123k', '1.2M']);
  expect([percent(0), percent(0.004), percent(0.12)]).toEqual(['0 %', '0.4 %', '12 %']);
  expect([ago(0, 1000), ago(0, 12_000), ago(0, 240_000), ago(0, 7_200_000), ago(5000, 0)]).toEqual([
    'now',
    '12 s',
    '4 min',
    '2 h',
    'now',
  ]);
  expect([since(0, 1000), since(0, 12_000)]).toEqual(['now', '12 s ago']);
  expect([plural(1, 'query', 'queries'), plural(2, 'query', 'queries')]).toEqual(['1 query', '2 queries']);
});

it('takes dotted names apart and leaves other texts alone', () => {
  expect(dotted('shop.tasks.mail')).toEqual({ last: 'mail', rest: 'shop.tasks' });
  for (const text of ['migrate', 'manage.py check --deploy', 'a.b.', ''])
    expect(dotted(text)).toEqual({ last: text, rest: '' });
});
