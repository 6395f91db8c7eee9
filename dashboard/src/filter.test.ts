import { describe, expect, it } from 'vitest';
import { visit } from '../dev/world.ts';
import { charactersTo, endpointOf, indexOf, listOf, ofEndpoint, term, terms, valueOf, withTerm } from './filter.ts';
import type { Request } from './schema.ts';

const [request] = visit(1_700_000_000_000).requests as [Request];

describe('term', () => {
  it('quotes what is more than a word, letter by letter', () => {
    expect(term('service', 'shop-api.eu')).toBe('service:shop-api.eu');
    expect(term('name', 'a "b" \\ c*')).toBe('name="a \\"b\\" \\\\ c*"');
    expect(term('service', '-x')).toBe('service="-x"');
  });
});

describe('ofEndpoint', () => {
  it('asks for the route, or the path where no route matched', () => {
    expect(ofEndpoint('GET /orders/{id}', 'shop')).toBe(
      'method:GET (route="/orders/{id}" OR path="/orders/{id}") service:shop',
    );
  });

  it('asks for the name of a job', () => {
    expect(ofEndpoint('shop.tasks.mail')).toBe('name="shop.tasks.mail"');
  });
});

describe('terms', () => {
  it('keeps together what quotes, parentheses and slashes hold together', () => {
    expect(terms('a:"x y" (b OR c) url~/one two\\/three/i -d  AND e')).toEqual([
      'a:"x y"',
      '(b OR c)',
      'url~/one two\\/three/i',
      '-d',
      'e',
    ]);
  });

  it('ends with what is never closed', () => {
    expect(terms('a "b c')).toEqual(['a', '"b c']);
    expect(terms('(a b')).toEqual(['(a b']);
  });
});

describe('withTerm', () => {
  it('sets, replaces and removes one term', () => {
    expect(withTerm('', 'status', '5xx')).toBe('status:5xx');
    expect(withTerm('status:4xx lamp', 'status', '5xx')).toBe('lamp status:5xx');
    expect(withTerm('lamp AND status:4xx', 'status', '')).toBe('lamp');
  });

  it('leaves what is denied, and binds closer than OR', () => {
    expect(withTerm('NOT status:404 -status:500', 'status', '4xx')).toBe('NOT status:404 -status:500 status:4xx');
    expect(withTerm('lamp OR desk', 'status', '4xx')).toBe('(lamp OR desk) status:4xx');
    expect(withTerm('lamp OR desk', 'status', '')).toBe('lamp OR desk');
  });
});

describe('valueOf', () => {
  it('is what holds for all of the filter', () => {
    expect(valueOf('lamp status:4xx', 'status')).toBe('4xx');
    expect(valueOf('lamp OR status:4xx', 'status')).toBe('');
    expect(valueOf('NOT status:4xx', 'status')).toBe('');
  });
});

it('counts characters as the server does', () => {
  const text = 'a😀b';
  expect(charactersTo(text, 3)).toBe(2);
  expect(indexOf(text, 2)).toBe(3);
});

it('names an endpoint by its route', () => {
  expect(endpointOf({ ...request, method: 'GET', route: '/a/{id}', path: '/a/1' })).toBe('GET /a/{id}');
  expect(endpointOf({ ...request, method: 'GET', route: undefined, path: '/a/1' })).toBe('GET /a/1');
});

it('tells endpoints from names of jobs', () => {
  expect(['GET /a', 'WEBSOCKET /feed', endpointOf(request)].map(listOf)).toEqual(Array(3).fill('requests'));
  expect(['shop.tasks.mail', 'migrate', 'manage.py check'].map(listOf)).toEqual(Array(3).fill('jobs'));
});
