import { expect, it } from 'vitest';
import { editorLink } from './editor.svelte.ts';

it('joins the project root and a relative path', () => {
  expect(editorLink('vscode', { file: 'shop/a b.py', line: 3 }, '/home/ada/shop/')).toBe(
    'vscode://file/home/ada/shop/shop/a%20b.py:3',
  );
});

it('needs no root for an absolute path, and gives nothing without a place', () => {
  expect(editorLink('zed', { file: '/x/y.py', line: 1 }, undefined)).toBe('zed://file/x/y.py:1');
  expect(editorLink('vscode', { file: 'y.py', line: 1 }, undefined)).toBeUndefined();
  expect(editorLink('none', { file: '/x/y.py', line: 1 }, undefined)).toBeUndefined();
});

it.each(['javascript:alert(1)', '"><script>', 'a?b#c', 'https://evil.test/x.py'])(
  'keeps %s inside the editor’s scheme',
  (file) => {
    const link = editorLink('vscode', { file, line: 1 }, '/root') ?? '';
    expect(link.startsWith('vscode://file/root/')).toBe(true);
    expect(link).not.toMatch(/[?#"<>\s]/);
  },
);

it('takes nothing but a number for the line', () => {
  const line = '1;calc' as unknown as number;
  expect(editorLink('vscode', { file: '/x.py', line }, undefined)).toBe('vscode://file/x.py:1');
});
