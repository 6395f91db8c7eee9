// SQL as coloured tokens, and indented.

export type SqlKind =
  'keyword' | 'function' | 'string' | 'number' | 'placeholder' | 'name' | 'comment' | 'punctuation' | 'space';
export interface Token<K extends string> {
  kind: K;
  text: string;
}

const KEYWORDS = new Set(
  (
    'ADD ALL ALTER ANALYZE AND ANY AS ASC BEGIN BETWEEN BY CASCADE CASE CAST CHECK COLUMN COMMIT CONFLICT CONSTRAINT CREATE CROSS CURRENT ' +
    'DATABASE DEFAULT DELETE DESC DISTINCT DO DROP ELSE END ESCAPE EXCEPT EXISTS EXPLAIN FALSE FETCH FILTER FIRST FOR FOREIGN FROM FULL ' +
    'GROUP HAVING IF ILIKE IN INDEX INNER INSERT INTERSECT INTERVAL INTO IS JOIN KEY LAST LATERAL LEFT LIKE LIMIT LOCK NATURAL NEXT NOT ' +
    'NOTHING NULL NULLS OF OFFSET ON ONLY OR ORDER OUTER OVER PARTITION PRAGMA PRIMARY RECURSIVE REFERENCES RELEASE RETURNING RIGHT ' +
    'ROLLBACK ROW ROWS SAVEPOINT SELECT SET SKIP TABLE THEN TO TRANSACTION TRUE TRUNCATE UNION UNIQUE UPDATE USING VALUES VIEW WHEN WHERE ' +
    'WINDOW WITH'
  ).split(' '),
);

const PATTERNS: [SqlKind | 'word', RegExp][] = [
  ['space', /\s+/y],
  ['comment', /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y],
  ['string', /'(?:[^']|'')*(?:'|$)/y],
  ['name', /"(?:[^"]|"")*(?:"|$)|`[^`]*(?:`|$)/y],
  ['placeholder', /\?(?:\d+)?|\$\d+|%\(\w+\)s|%s|:[A-Za-z_]\w*(?!:)/y],
  ['number', /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y],
  ['word', /[\p{L}_][\p{L}\p{N}_$]*/uy],
  ['punctuation', /::|[^\s\p{L}\p{N}_]/uy],
];

/** Split a statement into tokens; joined they are the text again. */
export function tokens(sql: string): Token<SqlKind>[] {
  const found: Token<SqlKind>[] = [];
  let at = 0;
  while (at < sql.length) {
    const [kind, text] = next(sql, at);
    at += text.length;
    found.push({ kind: kind === 'word' ? word(sql, text, at) : kind, text });
  }
  return found;
}

function next(sql: string, at: number): [SqlKind | 'word', string] {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const hit = pattern.exec(sql);
    if (hit) return [kind, hit[0]];
  }
  return ['punctuation', String.fromCodePoint(sql.codePointAt(at) ?? 32)];
}

function word(sql: string, text: string, after: number): SqlKind {
  if (KEYWORDS.has(text.toUpperCase())) return 'keyword';
  return sql[after] === '(' ? 'function' : 'name';
}

/** One line, without needless white space and quotes around plain names: for tables. */
export function oneLine(sql: string): string {
  return sql
    .replace(/\s+/g, ' ')
    .replace(/"(\w+)"/g, '$1')
    .replace(/ ?\. ?(?=\w)| (?=[,)])|(?<=\() /g, (space) => space.trim())
    .trim();
}

/** Longest list of columns that `brief` leaves as it is. */
const SHORT_LIST = 16;

/**
 * One line in which what it is about comes first: the columns of a SELECT and of an INSERT, when there are many, as `…`, and
 * columns without their table where there is only one.
 */
export function brief(sql: string): string {
  return unqualified(shortened(sql));
}

function unqualified(line: string): string {
  const table = /\b(?:FROM|UPDATE) (\w+)\b/i.exec(line)?.[1];
  const named = new Set([...line.matchAll(/\b(\w+)\.(?=\w)/g)].map(([, name]) => name));
  return table && named.size === 1 && named.has(table) ? line.replaceAll(`${table}.`, '') : line;
}

function shortened(sql: string): string {
  const line = oneLine(sql.slice(0, 4000));
  let depth = 0;
  let offset = 0;
  let list: number | undefined;
  for (const { kind, text } of tokens(line)) {
    const word = kind === 'keyword' ? text.toUpperCase() : text;
    if (list !== undefined && depth === 0 && (word === 'FROM' || word === 'VALUES' || word === 'RETURNING')) {
      const columns = line.slice(list, offset).trim();
      if (columns.length <= SHORT_LIST) return line;
      const shown = columns.startsWith('(') ? '(…)' : '…';
      return `${line.slice(0, list).trimEnd()} ${shown} ${line.slice(offset)}`;
    }
    if (text === '(' && depth === 0 && list === undefined && /^INSERT INTO \S+ ?$/i.test(line.slice(0, offset)))
      list = offset;
    if (text === '(') depth += 1;
    if (text === ')') depth -= 1;
    offset += text.length;
    if (list === undefined && depth === 0 && word === 'SELECT') list = offset;
  }
  return line;
}

const LONGEST_FORMATTED = 20_000;

/** Indented. A statement that the formatter does not understand, or a very long one, comes back as it is. */
export async function indented(sql: string, system: string | undefined): Promise<string> {
  if (sql.length > LONGEST_FORMATTED) return sql;
  const { formatDialect, mysql, postgresql, sqlite } = await import('sql-formatter');
  const dialect =
    system?.startsWith('mysql') || system === 'mariadb' ? mysql : system === 'sqlite' ? sqlite : postgresql;
  try {
    return formatDialect(sql, {
      dialect,
      keywordCase: 'upper',
      paramTypes: {
        positional: true,
        numbered: ['?', '$'],
        named: [':'],
        custom: [{ regex: '%s' }, { regex: '%\\(\\w+\\)s' }],
      },
    });
  } catch {
    return sql;
  }
}
