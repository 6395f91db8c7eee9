// Figures as people read them. Durations are milliseconds, times Unix epoch milliseconds, sizes bytes.

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** `0.42 ms`, `12 ms`, `1.24 s`, `2 min 5 s`; a dash when unknown. */
export function duration(ms: number | undefined | null): string {
  if (ms === undefined || ms === null || !Number.isFinite(ms)) return '–';
  if (ms === 0) return '0 ms';
  if (ms < 0.1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 10) return `${ms.toFixed(ms < 1 ? 2 : 1)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** `512 B`, `1.2 kB`, `3.4 MB`. */
export function bytes(size: number | undefined | null): string {
  if (size === undefined || size === null) return '–';
  if (size < 1000) return `${size} B`;
  for (const unit of ['kB', 'MB', 'GB']) {
    size /= 1000;
    if (size < 999.5) return `${size.toFixed(size < 10 ? 1 : 0)} ${unit}`;
  }
  return `${(size / 1000).toFixed(1)} TB`;
}

/** `1,234`; from a hundred thousand on `123k`, `1.2M`. */
export function count(value: number | undefined | null): string {
  if (value === undefined || value === null) return '–';
  if (value < 100_000) return grouped.format(value);
  if (value < 1_000_000) return `${Math.round(value / 1000)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

/** A fraction from 0 to 1: `0 %`, `0.4 %`, `12 %`. */
export function percent(fraction: number): string {
  const value = fraction * 100;
  return `${value > 0 && value < 10 ? value.toFixed(1) : value.toFixed(0)} %`;
}

/** How long before `now` a time was: `now`, `12 s`, `4 min`, `3 h`, `2 d`. */
export function ago(time: number, now: number): string {
  const seconds = Math.max(0, (now - time) / 1000);
  if (seconds < 2) return 'now';
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** The same as a phrase: `now`, `12 s ago`. */
export function since(time: number, now: number): string {
  const age = ago(time, now);
  return age === 'now' ? age : `${age} ago`;
}

/** Time of day, local, with milliseconds: `14:03:07.512`. */
export function clock(time: number): string {
  const date = new Date(time);
  const pad = (value: number, width: number) => String(value).padStart(width, '0');
  return `${pad(date.getHours(), 2)}:${pad(date.getMinutes(), 2)}:${pad(date.getSeconds(), 2)}.${pad(date.getMilliseconds(), 3)}`;
}

/** Date and time of day, local, for titles. */
export function moment(time: number): string {
  return `${new Date(time).toLocaleDateString('en-CA')} ${clock(time)}`;
}

/** `1 query`, `3 queries`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `shop.tasks.mail` → `mail` and `shop.tasks`: a name of Python and where it is; any other text as it is. */
export function dotted(name: string): { last: string; rest: string } {
  const at = /^[\w.]+\w$/.test(name) ? name.lastIndexOf('.') : -1;
  return { last: name.slice(at + 1), rest: name.slice(0, Math.max(0, at)) };
}
