// Links that open a call site in the user's editor.
import { get } from './api.ts';
import type { Callsite, Status } from './schema.ts';
import { keep, stored } from './theme.svelte.ts';

export const EDITORS = ['vscode', 'cursor', 'zed', 'pycharm', 'none'] as const;
export type Editor = (typeof EDITORS)[number];
export const EDITOR_NAMES: Record<Editor, string> = {
  vscode: 'VS Code',
  cursor: 'Cursor',
  zed: 'Zed',
  pycharm: 'PyCharm',
  none: 'None',
};

class Preference {
  editor = $state<Editor>(stored('brakit.editor', EDITORS, 'vscode'));
  #roots = $state.raw(new Map<string, string>());

  set(editor: Editor): void {
    this.editor = editor;
    keep('brakit.editor', editor);
  }

  /** Learn the project roots that call sites are relative to. */
  async learn(): Promise<void> {
    const status = await get<Status>('status');
    this.know(status);
  }

  know(status: Status): void {
    const roots = new Map<string, string>();
    for (const run of status.runs) {
      if (!run.root) continue;
      roots.set(run.run, run.root);
      roots.set(run.service, run.root);
    }
    this.#roots = roots;
  }

  /** The project root of a run or a service, when it is known; where all that send have one root, that. */
  root(...names: (string | undefined)[]): string | undefined {
    for (const name of names) {
      const root = name === undefined ? undefined : this.#roots.get(name);
      if (root) return root;
    }
    const all = new Set(this.#roots.values());
    return all.size === 1 ? [...all][0] : undefined;
  }
}

/** The link that opens a line, or undefined when the file's place is unknown. */
export function editorLink(
  editor: Editor,
  site: Pick<Callsite, 'file' | 'line'>,
  root: string | undefined,
): string | undefined {
  const absolute = /^(\/|[A-Za-z]:[\\/])/.test(site.file);
  if (editor === 'none' || (!absolute && !root)) return undefined;
  const file = (absolute ? site.file : `${root?.replace(/[\\/]+$/, '')}/${site.file}`).replaceAll('\\', '/');
  const path = encodeURI(file.replace(/^\/+/, '')).replaceAll('?', '%3F').replaceAll('#', '%23');
  const line = Math.max(1, Math.trunc(Number(site.line)) || 1);
  if (editor === 'pycharm') return `pycharm://open?file=/${path.replaceAll('&', '%26')}&line=${line}`;
  return `${editor}://file/${path}:${line}`;
}

export const preference = new Preference();
