// Where we are: the path below /__brakit and the query string. All state that a link should carry lives here.
import { ROOT } from './api.ts';

/** A path below the root and its parameters. */
export type Place = [path: string, params: Record<string, string>];
export type Changes = Record<string, string | undefined>;

class Router {
  path = $state(below(location.pathname));
  params = $state.raw(new URLSearchParams(location.search));
  #lists = new Map<string, Place>();

  constructor() {
    addEventListener('popstate', () => this.#read());
    document.addEventListener('click', (event) => this.#follow(event));
  }

  /** Go to a path below the root, e.g. `requests/abc`. */
  go(path: string, params: Changes = {}, options: { replace?: boolean } = {}): void {
    const url = href(path, params);
    if (options.replace) history.replaceState(null, '', url);
    else history.pushState(null, '', url);
    this.#read();
  }

  /** Change some parameters of this view; undefined or empty removes one. */
  set(changes: Changes, options: { replace?: boolean } = {}): void {
    const merged = { ...Object.fromEntries(this.params), ...changes };
    if (href(this.path, merged) === location.pathname + location.search) return;
    this.go(this.path, merged, options);
  }

  /** One parameter; the empty string when it is not there. */
  get(name: string): string {
    return this.params.get(name) ?? '';
  }

  /** Where a list was left, with its filter; its plain address when it was not open yet. */
  list(path: string): Place {
    return this.#lists.get(path) ?? [path, {}];
  }

  #read(): void {
    this.#lists.set(this.path, [this.path, Object.fromEntries(this.params)]);
    this.path = below(location.pathname);
    this.params = new URLSearchParams(location.search);
  }

  #follow(event: MouseEvent): void {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.target || link.origin !== location.origin || !isOurs(link.pathname)) return;
    event.preventDefault();
    history.pushState(null, '', link.href);
    this.#read();
  }
}

/** The address of a path below the root. */
export function href(path: string, params: Changes = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value) query.set(name, value);
  return `${ROOT}/${path}${query.size > 0 ? `?${query}` : ''}`;
}

/** What `pattern` (`requests/:id`) reads from `path`, or undefined when it does not fit. */
export function match(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const found: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? '';
    if (part.startsWith(':')) found[part.slice(1)] = decode(value);
    else if (part !== value) return undefined;
  }
  return found;
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function isOurs(pathname: string): boolean {
  return pathname === ROOT || (pathname.startsWith(`${ROOT}/`) && !pathname.startsWith(`${ROOT}/api/`));
}

function below(pathname: string): string {
  return pathname.slice(ROOT.length).replace(/^\/+|\/+$/g, '');
}

export const router = new Router();
