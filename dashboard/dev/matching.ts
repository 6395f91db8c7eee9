// A little of the filter language for the invented world: words, and `field:value` for a few fields. A real server reads all of it.
import type { Completion, Job, Log, Request } from '../src/schema.ts';

const FIELDS = ['method', 'status', 'service', 'level', 'route', 'path', 'name', 'queue', 'logger'] as const;
const VALUES: Record<string, string[]> = {
  method: ['GET', 'POST'],
  status: ['2xx', '4xx', '5xx', 'failed'],
  level: ['error', 'warn', 'info', 'debug'],
};
const TERM = /(?:(\w+)(?::|=))?("[^"]*"|[^\s()"]+)/g;

/** Whether a record has each word of the filter in one of its texts, and each field's value. */
export function matches(record: Request | Job | Log, filter: string): boolean {
  const fields = Object.fromEntries(Object.entries(record));
  if ('statusCode' in record) fields['status'] = record.statusCode;
  return [...filter.matchAll(TERM)].every(([, name, quoted = '']) => {
    const value = quoted.replaceAll('"', '').toLowerCase();
    const texts = name ? [fields[name]] : Object.values(fields);
    return texts.some((text) => {
      const has = String(text ?? '').toLowerCase();
      if (!name) return has.includes(value);
      return value.endsWith('xx') ? has[0] === value[0] : has === value;
    });
  });
}

/** What the server's `filter/complete` answers, of these few fields. */
export function complete(text: string, at: number): Completion {
  const start = text.slice(0, at).search(/[^\s:]*$/);
  const typed = text.slice(start, at);
  const field = /(\w+):$/.exec(text.slice(0, start))?.[1];
  const items = field
    ? (VALUES[field] ?? []).map((value) => ({ text: value, kind: 'value' }))
    : FIELDS.map((name) => ({ text: `${name}:`, kind: 'field' }));
  const open = (text.match(/"/g) ?? []).length % 2 === 1;
  return {
    start,
    end: at,
    items: items.filter((item) => item.text.startsWith(typed)),
    error: open
      ? { error: 'A quote is not closed', column: text.lastIndexOf('"') + 1, expected: ['closing quote'] }
      : undefined,
  };
}
