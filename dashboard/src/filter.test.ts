import { describe, expect, it } from 'vitest';
import { visit } from '../dev/world.ts';
import { endpointOf, listOf, matchesJob, matchesLog, matchesRequest, parse, text, withWord } from './filter.ts';
import type { Request } from './schema.ts';

const [request] = visit(1_700_000_000_000).requests as [Request];

describe('parse', () => {
  it('takes words for the API and leaves the rest as free text', () => {
    expect(parse('method:post status:5XX service:shop lamp desk')).toEqual({
      method: 'POST',
      status: '5xx',
      service: 'shop',
      search: 'lamp desk',
    });
  });

  it('keeps an unknown word, a word without a value and a time as free text', () => {
    expect(parse('host:example method: 12:30')).toEqual({ search: 'host:example method: 12:30' });
  });

  it('reads quoted values with spaces', () => {
    expect(parse('endpoint:"GET /orders/{id}" "two words"')).toEqual({
      endpoint: 'GET /orders/{id}',
      search: 'two words',
    });
  });

  it('reads back what text writes', () => {
    const filter = { method: 'GET', endpoint: 'GET /a b', search: 'x y' };
    expect(parse(text(filter))).toEqual(filter);
  });

  it('is empty for nothing', () => {
    expect(parse('   ')).toEqual({});
  });
});

describe('withWord', () => {
  it('sets, replaces and removes one word', () => {
    expect(withWord('lamp', 'status', '4xx')).toBe('status:4xx lamp');
    expect(withWord('status:4xx lamp', 'status', '5xx')).toBe('status:5xx lamp');
    expect(withWord('status:4xx lamp', 'status', undefined)).toBe('lamp');
  });
});

describe('matchesRequest', () => {
  it('lets everything through without a filter', () => {
    expect(matchesRequest(request, {})).toBe(true);
  });

  it('knows classes and exact numbers of status', () => {
    const failed = { ...request, statusCode: 502 };
    expect(matchesRequest(failed, { status: '5xx' })).toBe(true);
    expect(matchesRequest(failed, { status: '502' })).toBe(true);
    expect(matchesRequest(failed, { status: '500' })).toBe(false);
    expect(matchesRequest(failed, { status: 'junk' })).toBe(false);
  });

  it('looks for text in the URL and both bodies, whatever the case', () => {
    const with_ = { ...request, url: '/a', requestBody: 'Lamp', responseBody: null };
    expect(matchesRequest(with_, { search: 'lAMP' })).toBe(true);
    expect(matchesRequest(with_, { search: 'desk' })).toBe(false);
  });

  it('names an endpoint by its route', () => {
    expect(endpointOf({ ...request, method: 'GET', route: '/a/{id}', path: '/a/1' })).toBe('GET /a/{id}');
    expect(endpointOf({ ...request, method: 'GET', route: undefined, path: '/a/1' })).toBe('GET /a/1');
  });
});

describe('listOf', () => {
  it('tells endpoints from names of jobs', () => {
    expect(['GET /a', 'WEBSOCKET /feed', endpointOf(request)].map(listOf)).toEqual(Array(3).fill('requests'));
    expect(['shop.tasks.mail', 'migrate', 'manage.py check'].map(listOf)).toEqual(Array(3).fill('jobs'));
  });
});

describe('matchesJob', () => {
  const job = {
    id: '1',
    timestamp: 0,
    parentRequestId: null,
    name: 'shop.tasks.mail',
    durationMs: 4,
    status: 'failed',
    queue: 'slow',
    error: 'TimeoutError: no answer',
    service: 'shop',
  };

  it('filters by how it ended, its service and its name', () => {
    expect(matchesJob(job, { status: 'failed', service: 'shop', endpoint: 'shop.tasks.mail' })).toBe(true);
    expect(matchesJob(job, { status: 'succeeded' })).toBe(false);
    expect(matchesJob(job, { service: 'other' })).toBe(false);
    expect(matchesJob(job, { endpoint: 'shop.tasks' })).toBe(false);
  });

  it('looks for text in name, queue and error', () => {
    for (const search of ['TASKS.', 'slow', 'no answer']) expect(matchesJob(job, { search })).toBe(true);
    expect(matchesJob(job, { search: 'shopping' })).toBe(false);
  });
});

describe('matchesLog', () => {
  it('filters by level and text', () => {
    const log = {
      id: '1',
      timestamp: 0,
      parentRequestId: null,
      level: 'warn',
      message: 'Slow search',
      logger: 'shop.api',
    };
    expect(matchesLog(log, { level: 'warn', search: 'slow' })).toBe(true);
    expect(matchesLog(log, { search: 'SHOP.' })).toBe(true);
    expect(matchesLog(log, { level: 'error' })).toBe(false);
  });
});
