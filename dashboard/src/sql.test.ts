import { describe, expect, it } from 'vitest';
import { brief, indented, oneLine, tokens } from './sql.ts';

const kinds = (sql: string) =>
  tokens(sql)
    .filter((token) => token.kind !== 'space')
    .map((token) => `${token.kind} ${token.text}`);

describe('tokens', () => {
  it('tells keywords, functions, names and placeholders apart', () => {
    expect(kinds('SELECT count(*) FROM users WHERE id = %s AND a = :a AND b = $1')).toEqual([
      'keyword SELECT',
      'function count',
      'punctuation (',
      'punctuation *',
      'punctuation )',
      'keyword FROM',
      'name users',
      'keyword WHERE',
      'name id',
      'punctuation =',
      'placeholder %s',
      'keyword AND',
      'name a',
      'punctuation =',
      'placeholder :a',
      'keyword AND',
      'name b',
      'punctuation =',
      'placeholder $1',
    ]);
  });

  it('reads strings, quoted names, comments and casts', () => {
    expect(kinds(`'it''s' "Select" -- note`)).toEqual([`string 'it''s'`, 'name "Select"', 'comment -- note']);
    expect(kinds('a::int')).toEqual(['name a', 'punctuation ::', 'name int']);
  });

  it.each(['', "'open", '/* open', '"open', '<script>alert(1)</script>', 'naïve 💥 \u0000', "\\'%(x)s?"])(
    'loses nothing of %j',
    (sql) => {
      expect(
        tokens(sql)
          .map((token) => token.text)
          .join(''),
      ).toBe(sql);
    },
  );
});

describe('oneLine', () => {
  it('removes line breaks and needless quotes', () => {
    expect(oneLine('SELECT "a"\n  FROM "b"')).toBe('SELECT a FROM b');
    expect(oneLine('SELECT a . id , count ( b . id ) FROM a')).toBe('SELECT a.id, count (b.id) FROM a');
  });
});

describe('indented', () => {
  it('puts clauses on their own lines', async () => {
    expect(await indented('select a from b where c = %s', 'postgresql')).toBe(
      'SELECT\n  a\nFROM\n  b\nWHERE\n  c = %s',
    );
  });

  it('understands the placeholders of every driver', async () => {
    for (const mark of ['?', '$1', ':id', '%s', '%(id)s'])
      expect(await indented(`select a from b where c = ${mark}`, undefined)).toContain(mark);
  });

  it('gives back what it cannot read', async () => {
    const broken = "select ( from 'x";
    expect(await indented(broken, 'sqlite')).toBe(broken);
  });
});

describe('brief', () => {
  it.each([
    [
      'SELECT customers.id, customers.email, customers.name FROM customers WHERE id = ?',
      'SELECT … FROM customers WHERE id = ?',
    ],
    ['SELECT count(*) AS n FROM orders', 'SELECT count(*) AS n FROM orders'],
    ['SELECT id, (SELECT max(x) FROM b WHERE b.a = a.id) AS top FROM a', 'SELECT … FROM a'],
    ['INSERT INTO orders (number, customer_id, placed_at) VALUES (?)', 'INSERT INTO orders (…) VALUES (?)'],
    ['INSERT INTO t (a) VALUES (?)', 'INSERT INTO t (a) VALUES (?)'],
    ['UPDATE products SET stock=? WHERE id = ?', 'UPDATE products SET stock=? WHERE id = ?'],
    [
      'WITH x AS (SELECT a, b, c, d, e, f FROM y) SELECT x.a, x.b, x.c, x.d FROM x',
      'WITH x AS (SELECT a, b, c, d, e, f FROM y) SELECT … FROM x',
    ],
    [
      'SELECT orders.id, orders.number FROM orders WHERE orders.customer_id = ? ORDER BY orders.id',
      'SELECT … FROM orders WHERE customer_id = ? ORDER BY id',
    ],
    ['SELECT a.id FROM a JOIN b ON a.id = b.a', 'SELECT a.id FROM a JOIN b ON a.id = b.a'],
    ['SELECT', 'SELECT'],
    ['', ''],
  ])('%s', (sql, expected) => {
    expect(brief(sql)).toBe(expected);
  });
});
