// The API over the invented world, inside Vite's development server: enough of it to work on every view.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Plugin } from 'vite';
import { endpointOf } from '../src/filter.ts';
import type {
  Error as ErrorRecord,
  ErrorGroup,
  JobDetail,
  Overview,
  Query,
  QueryShape,
  Request,
  RequestDetail,
  RequestFlow,
  StatefulIssue,
  Status,
} from '../src/schema.ts';
import { issues } from './findings.ts';
import { complete, matches } from './matching.ts';
import { joined, nothing, RUNS, visit, type Happened } from './world.ts';

const VISIT_EVERY_MS = Number(process.env.VISIT_EVERY_MS ?? 700);

/** A list from a query of the API: newest first, paged by the id of the last row. */
export class World {
  all = nothing();
  issues: StatefulIssue[] = [];

  constructor(visits = 900) {
    if (process.env.EMPTY) return;
    const now = Date.now();
    for (let index = visits; index > 0; index--) this.take(visit(now - index * 1000));
    this.issues = issues(this.all.requests);
  }

  take(happened: Happened): void {
    joined(this.all, happened, 'unshift');
    for (const run of RUNS) {
      run.lastSeenAt = Date.now();
      run.events += 6;
    }
  }

  answer(path: string, params: URLSearchParams): unknown {
    const filter = params.get('filter') ?? '';
    const detail = /^(?:requests|jobs)\/(.+)$/.exec(path);
    if (detail) return this.#detail(decodeURIComponent(detail[1] ?? ''));
    switch (path) {
      case 'requests': {
        const rows = this.all.requests.filter((request) => matches(request, filter));
        const page = paged(rows, params);
        return { total: rows.length, requests: page.rows, next: page.next };
      }
      case 'jobs': {
        const rows = this.all.jobs.filter((job) => matches(job, filter));
        const page = paged(rows, params);
        return { total: rows.length, entries: page.rows, next: page.next };
      }
      case 'logs': {
        const rows = this.all.logs.filter((log) => matches(log, filter));
        const page = paged(rows, params);
        return { total: rows.length, entries: page.rows, next: page.next };
      }
      case 'filter/complete':
        return complete(params.get('text') ?? '', Number(params.get('at') ?? 0));
      case 'activity':
        return {
          requestIds: [],
          activities: Object.fromEntries(
            (params.get('requestIds') ?? '').split(',').map((id) => [id, { total: 0, ...this.#timeline(id) }]),
          ),
        };
      case 'shapes':
        return { total: 0, shapes: shapes(this.all.queries, this.all.requests) };
      case 'errors/groups':
        return { total: 0, groups: groups(this.all) };
      case 'insights':
        return { issues: this.issues };
      case 'status':
        return this.#status();
      case 'flows':
        return { total: 0, flows: flows(this.all.requests.filter((request) => matches(request, filter))) };
      case 'overview':
        return this.#overview(Number(params.get('minutes') ?? 15));
      default:
        return undefined;
    }
  }

  #timeline(id: string): Pick<RequestDetail, 'timeline' | 'counts'> {
    const mine = <T extends { parentRequestId: string | null }>(rows: T[]) =>
      rows.filter((row) => row.parentRequestId === id);
    const found = {
      queries: mine(this.all.queries),
      fetches: mine(this.all.fetches),
      logs: mine(this.all.logs),
      errors: mine(this.all.errors),
    };
    const timeline: RequestDetail['timeline'] = [
      ...found.queries.map((data) => ({ type: 'query' as const, timestamp: data.timestamp, data })),
      ...found.fetches.map((data) => ({ type: 'fetch' as const, timestamp: data.timestamp, data })),
      ...found.logs.map((data) => ({ type: 'log' as const, timestamp: data.timestamp, data })),
      ...found.errors.map((data) => ({ type: 'error' as const, timestamp: data.timestamp, data })),
    ].sort((a, b) => a.timestamp - b.timestamp);
    const counts = {
      queries: found.queries.length,
      fetches: found.fetches.length,
      logs: found.logs.length,
      errors: found.errors.length,
      spans: 0,
    };
    return { timeline, counts };
  }

  #detail(id: string): RequestDetail | JobDetail | undefined {
    const { requests, jobs } = this.all;
    const request = requests.find((candidate) => candidate.id === id);
    const job = jobs.find((candidate) => candidate.id === id);
    const owner = request ?? job;
    if (!owner) return undefined;
    const mine = <T extends { parentRequestId: string | null }>(rows: T[]) =>
      rows.filter((row) => row.parentRequestId === id);
    const around = {
      ...this.#timeline(id),
      children: [
        ...mine(requests).map((one) => ({
          type: 'request' as const,
          request: one,
          timeline: this.#timeline(one.id).timeline,
        })),
        ...mine(jobs).map((one) => ({ type: 'job' as const, job: one, timeline: this.#timeline(one.id).timeline })),
      ],
      parent: requests.find((candidate) => candidate.id === owner.parentRequestId),
      parentJob: jobs.find((candidate) => candidate.id === owner.parentRequestId),
      issues: this.issues.filter((one) => request && one.issue.endpoint === endpointOf(request)),
      run: RUNS.find((run) => run.run === owner.run),
    };
    if (request) return { request, ...around };
    return job && { job, ...around };
  }

  #status(): Status {
    return {
      version: '0.1.0',
      startedAt: Date.now() - 900_000,
      project: 'shop',
      databaseBytes: 8_200_000,
      maxBytes: 512_000_000,
      maxAgeDays: 7,
      events: { request: this.all.requests.length, 'db.query': this.all.queries.length },
      dropped: {},
      rejected: 0,
      runs: RUNS,
    };
  }

  #overview(minutes: number): Overview {
    const now = Date.now();
    const since = now - minutes * 60_000;
    const requests = this.all.requests.filter((request) => request.timestamp >= since);
    const step = (now - since) / 60;
    const queriesOf = new Map<string, { count: number; ms: number }>();
    for (const query of this.all.queries) {
      const sum = queriesOf.get(query.parentRequestId ?? '') ?? { count: 0, ms: 0 };
      queriesOf.set(query.parentRequestId ?? '', { count: sum.count + 1, ms: sum.ms + query.durationMs });
    }
    const endpoints = [...grouped(requests, endpointOf)].map(([endpoint, rows]) => {
      const total = rows.reduce((sum, row) => sum + row.durationMs, 0);
      const queries = rows.map((row) => queriesOf.get(row.id) ?? { count: 0, ms: 0 });
      return {
        endpoint,
        service: rows[0]?.service,
        requests: rows.length,
        errors: rows.filter((row) => row.statusCode >= 500).length,
        p50Ms: quantile(rows, 0.5) ?? 0,
        p95Ms: quantile(rows, 0.95) ?? 0,
        avgQueryCount: queries.reduce((sum, one) => sum + one.count, 0) / rows.length,
        dbShare: queries.reduce((sum, one) => sum + one.ms, 0) / total,
        fetchShare: endpoint === 'POST /checkout' ? 0.8 : 0,
        issues: this.issues.filter((one) => one.issue.endpoint === endpoint && one.state !== 'resolved').length,
        total,
      };
    });
    return {
      since,
      requests: requests.length,
      errors: requests.filter((request) => request.statusCode >= 500).length,
      p50Ms: quantile(requests, 0.5),
      p95Ms: quantile(requests, 0.95),
      queries: this.all.queries.filter((query) => query.timestamp >= since).length,
      fetches: this.all.fetches.filter((fetch) => fetch.timestamp >= since).length,
      logs: this.all.logs.filter((log) => log.timestamp >= since).length,
      exceptions: this.all.errors.filter((error) => error.timestamp >= since).length,
      buckets: Array.from({ length: 60 }, (_, index) => {
        const inside = requests.filter((request) => Math.floor((request.timestamp - since) / step) === index);
        return {
          timestamp: since + index * step,
          requests: inside.length,
          errors: inside.filter((request) => request.statusCode >= 500).length,
          p50Ms: quantile(inside, 0.5),
          p95Ms: quantile(inside, 0.95),
        };
      }),
      endpoints: endpoints.sort((a, b) => b.total - a.total).slice(0, 12),
      issues: this.issues.filter((one) => one.state !== 'resolved'),
      recentErrors: groups(this.all).slice(0, 5),
      services: RUNS.map((run) => run.service),
    };
  }
}

function paged<T extends { id: string }>(rows: T[], params: URLSearchParams): { rows: T[]; next: string | undefined } {
  const limit = Number(params.get('limit') ?? 500);
  const from = rows.findIndex((row) => row.id === params.get('before')) + 1;
  const page = rows.slice(from, from + limit);
  return { rows: page, next: from + limit < rows.length ? page.at(-1)?.id : undefined };
}

function grouped<T>(rows: T[], by: (row: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const row of rows) {
    const group = found.get(by(row));
    if (group) group.push(row);
    else found.set(by(row), [row]);
  }
  return found;
}

function quantile(rows: { durationMs: number }[], at: number): number | undefined {
  const sorted = rows.map((row) => row.durationMs).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))];
}

function shapes(queries: Query[], requests: Request[]): QueryShape[] {
  const endpoints = new Map(requests.map((request) => [request.id, endpointOf(request)]));
  return [...grouped(queries, (query) => query.shapeHash ?? '')].map(([shapeHash, rows]) => {
    const first = rows[0] as Query;
    return {
      shapeHash,
      shape: first.shape ?? '',
      operation: first.operation,
      table: first.table,
      system: first.system,
      services: [...new Set(rows.flatMap((row) => row.service ?? []))],
      count: rows.length,
      errors: rows.filter((row) => row.error).length,
      totalMs: rows.reduce((sum, row) => sum + row.durationMs, 0),
      p50Ms: quantile(rows, 0.5) ?? 0,
      p95Ms: quantile(rows, 0.95) ?? 0,
      maxMs: Math.max(...rows.map((row) => row.durationMs)),
      rows: rows.reduce((sum, row) => sum + (row.rowCount ?? 0), 0),
      requests: new Set(rows.map((row) => row.parentRequestId)).size,
      endpoints: [...new Set(rows.flatMap((row) => endpoints.get(row.parentRequestId ?? '') ?? []))],
      callSites: first.callSite ? [first.callSite] : [],
      lastSeenAt: first.timestamp,
      lastRequestId: first.parentRequestId ?? undefined,
    };
  });
}

function groups({ errors, requests, jobs }: Happened): ErrorGroup[] {
  const endpoints = new Map([
    ...requests.map((request) => [request.id, endpointOf(request)] as const),
    ...jobs.map((job) => [job.id, job.name] as const),
  ]);
  return [...grouped(errors, (error) => `${error.name}-${error.callSite?.line}`)].map(([key, rows]) => {
    const last = rows[0] as ErrorRecord;
    return {
      key,
      name: last.name,
      message: last.message,
      count: rows.length,
      firstSeenAt: rows.at(-1)?.timestamp ?? 0,
      lastSeenAt: last.timestamp,
      handled: last.handled ?? false,
      services: [...new Set(rows.flatMap((row) => row.service ?? []))],
      endpoints: [...new Set(rows.flatMap((row) => endpoints.get(row.parentRequestId ?? '') ?? []))],
      frame: last.frames?.at(-1),
      last,
      lastRequestId: last.parentRequestId ?? undefined,
      lastJobId: jobs.find((job) => job.id === last.parentRequestId)?.id,
    };
  });
}

function flows(requests: Request[]): RequestFlow[] {
  const outer = requests.filter((request) => request.parentRequestId === null).slice(0, 200);
  return Array.from({ length: Math.ceil(outer.length / 4) }, (_, index) => {
    const rows = outer.slice(index * 4, index * 4 + 4).reverse();
    const first = rows[0] as Request;
    return {
      id: first.id,
      label: endpointOf(first),
      requests: rows.map((row, at) => ({
        ...row,
        category: 'api-call',
        label: endpointOf(row),
        isDuplicate: at === 3,
      })),
      startTime: first.timestamp,
      totalDurationMs: (rows.at(-1)?.timestamp ?? 0) + (rows.at(-1)?.durationMs ?? 0) - first.timestamp,
      hasErrors: rows.some((row) => row.statusCode >= 400),
      warnings: rows.filter((row) => row.statusCode >= 500).map((row) => `${endpointOf(row)} — server error`),
      sourcePage: '/',
      redundancyPct: index % 3 === 0 ? 25 : 0,
    };
  });
}

/** The Vite plugin. Set EMPTY=1 to see the dashboard before anything happened, VISIT_EVERY_MS for a busier shop. */
export function pretendServer(): Plugin {
  return {
    name: 'brakit-pretend-server',
    apply: 'serve',
    configureServer(server) {
      const world = new World();
      const listeners = new Set<ServerResponse>();
      const send = (event: string, data: unknown) => {
        const name = event ? `event: ${event}\n` : '';
        for (const listener of listeners) listener.write(`${name}data: ${JSON.stringify(data)}\n\n`);
      };
      const timer = setInterval(() => {
        if (process.env.EMPTY) return;
        const happened = visit(Date.now());
        world.take(happened);
        for (const query of happened.queries) send('query', query);
        for (const fetch of happened.fetches) send('fetch', fetch);
        for (const log of happened.logs) send('log', log);
        for (const error of happened.errors) send('error_event', error);
        for (const request of happened.requests) send('', request);
        for (const job of happened.jobs) send('job', job);
      }, VISIT_EVERY_MS);
      server.httpServer?.on('close', () => clearInterval(timer));
      server.middlewares.use('/__brakit/api', (request: IncomingMessage, response: ServerResponse) => {
        const url = new URL(request.url ?? '/', 'http://dev');
        const path = url.pathname.slice(1);
        if (path === 'events') {
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          response.write(':ok\n\n');
          listeners.add(response);
          response.on('close', () => listeners.delete(response));
          return;
        }
        if (path === 'clear') {
          world.all = nothing();
          world.issues = [];
          send('cleared', null);
        }
        const answer =
          path === 'clear'
            ? { cleared: true }
            : path === 'findings/report'
              ? { ok: true }
              : world.answer(path, url.searchParams);
        response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer ?? { error: 'Not found' }));
      });
    },
  };
}
