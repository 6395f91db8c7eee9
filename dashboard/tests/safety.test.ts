// What is captured is hostile: nothing of it may reach the page as markup, and nothing may come from elsewhere.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const files = [
  join(ROOT, 'index.html'),
  ...readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(svelte|ts|css)$/.test(name) && !name.endsWith('.test.ts') && name !== 'schema.ts')
    .map((name) => join(ROOT, 'src', name)),
];

describe.each(files.map((file) => [file.slice(ROOT.length + 1), readFileSync(file, 'utf8')]))('%s', (_name, text) => {
  it('never makes markup from text', () => {
    expect(text).not.toMatch(
      /innerHTML|outerHTML|insertAdjacentHTML|\{@html|document\.write|createContextualFragment|\beval\(|new Function/,
    );
  });

  it('has no style attribute, which the page’s policy forbids', () => {
    expect(text).not.toMatch(/\sstyle=/);
  });

  it('names no other origin', () => {
    expect(text.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(
      /(?:src|href|url|@import|fetch|from)\s*[=(]?\s*['"`(]?(?:https?:)?\/\/\w/,
    );
  });

  it('is at most 500 lines long', () => {
    expect(text.split('\n').length).toBeLessThanOrEqual(500);
  });
});
