// The events of one request or job as a tree, as rows, and on a time scale.
import type { Fetch, Job, JobDetail, Query, Request, RequestDetail } from './schema.ts';
import { brief } from './sql.ts';

export type Entry = RequestDetail['timeline'][number];
export type Owner = Request | Job;
export type Kind = Entry['type'] | 'request' | 'job' | 'fold' | 'transaction';

export interface Node {
  id: string;
  kind: Kind;
  label: string;
  service?: string;
  /** Start, epoch milliseconds. */
  start: number;
  durationMs: number;
  failed: boolean;
  entry?: Entry;
  request?: Request;
  job?: Job;
  children: Node[];
  /** For a job of another time scale: how long after its cause was done it began, in milliseconds; below 0 before that. */
  later?: number;
  /** For a fold: how often, whether the bound parameters differed each time, and the milliseconds in the database. */
  repeat?: { count: number; differing: boolean; busyMs: number };
}

export interface Row {
  node: Node;
  depth: number;
  open: boolean;
}

/** Equal queries in a row from which they are folded. */
const FOLD_FROM = 3;

/** A job is one line, and the scale is not stretched for it, where it began so many times its cause's duration after that... */
const BEGAN_LATER = 2;
/** ...or where it took so many times as long. */
const TOOK_LONGER = 20;

/** The request or job that a detail is about. */
export function ownerOf(detail: Pick<RequestDetail, 'request'> | Pick<JobDetail, 'job'>): Owner {
  return 'job' in detail ? detail.job : detail.request;
}

/** Where a request or a job has its page. */
export function pageOf(owner: Owner): string {
  return `${isJob(owner) ? 'jobs' : 'requests'}/${encodeURIComponent(owner.id)}`;
}

export function isJob(owner: Owner): owner is Job {
  return !('method' in owner);
}

/** Whether a job ended otherwise than it was meant to; one that is tried again is not lost. */
export function hasFailed(job: Job): boolean {
  return job.status === 'failed' || job.status === 'rejected' || (job.status === undefined && Boolean(job.error));
}

type Told = (Pick<RequestDetail, 'request'> | Pick<JobDetail, 'job'>) & Pick<RequestDetail, 'timeline' | 'children'>;

/**
 * The tree under a request or a job: spans hold what happened inside them, fetches the request that they caused elsewhere, and
 * what enqueued a job holds the job.
 */
export function tree(detail: Told): Node {
  const fetches = new Map<string, Node>();
  const owner = ownerOf(detail);
  const root = ownerNode(owner, detail.timeline, fetches);
  const owners = new Map([[root.id, root]]);
  const children = detail.children.map((child) => {
    const caused = child.type === 'job' ? child.job : child.request;
    const node = ownerNode(caused, child.timeline, fetches);
    owners.set(node.id, node);
    return { caused, node };
  });
  for (const { caused, node } of children) {
    const cause =
      (isJob(caused) ? undefined : fetches.get(caused.parentFetchId ?? '')) ?? owners.get(caused.parentRequestId ?? '');
    const above = cause && !contains(node, cause) ? cause : root;
    above.children.push(node);
    if (isJob(caused)) node.later = offScale(caused, owner);
  }
  return arranged(root);
}

/** How long after its cause was done a job began, where it is of another time scale. */
function offScale(job: Job, owner: Owner): number | undefined {
  const later = job.timestamp - (owner.timestamp + owner.durationMs);
  const near = later <= BEGAN_LATER * owner.durationMs && job.durationMs <= TOOK_LONGER * owner.durationMs;
  return near ? undefined : later;
}

function ownerNode(owner: Owner, timeline: Entry[], fetches: Map<string, Node>): Node {
  const root: Node = {
    id: owner.id,
    ...(isJob(owner)
      ? { kind: 'job', label: owner.name, failed: hasFailed(owner), job: owner }
      : {
          kind: 'request',
          label: `${owner.method} ${owner.url}`,
          failed: owner.statusCode >= 500,
          request: owner,
        }),
    service: owner.service,
    start: owner.timestamp,
    durationMs: owner.durationMs,
    children: [],
  };
  const nodes = timeline.map((entry) => entryNode(entry));
  const owners = new Map<string, Node>();
  for (const node of nodes) {
    if (node.entry?.type === 'span') owners.set(node.entry.data.spanId, node);
    if (node.entry?.type === 'fetch' && node.entry.data.fetchId) {
      owners.set(node.entry.data.fetchId, node);
      fetches.set(node.entry.data.fetchId, node);
    }
  }
  const background = nodes.find((node) => node.entry?.type === 'span' && node.label === 'background tasks');
  for (const node of nodes) {
    const served = node.entry?.type === 'query' ? node.entry.data.parentFetchId : undefined;
    const owner = owners.get(served ?? '') ?? owners.get(node.entry?.data.parentId ?? '') ?? after(node, background);
    (owner && !contains(node, owner) ? owner : root).children.push(node);
  }
  return root;
}

/** What a request does after its response is out belongs to its background tasks. */
function after(node: Node, background: Node | undefined): Node | undefined {
  return background && node !== background && node.start >= background.start ? background : undefined;
}

// Ids come from outside: two spans may name each other as parent.
function contains(node: Node, wanted: Node): boolean {
  return node === wanted || node.children.some((child) => contains(child, wanted));
}

function entryNode(entry: Entry): Node {
  const { data } = entry;
  return {
    id: data.id,
    kind: entry.type === 'query' && entry.data.transactionMark ? 'transaction' : entry.type,
    label: label(entry),
    service: data.service,
    start: entry.timestamp,
    durationMs: 'durationMs' in data ? data.durationMs : 0,
    failed: failed(entry),
    entry,
    children: [],
  };
}

/** What a row says about an event. */
export function label(entry: Entry): string {
  switch (entry.type) {
    case 'query':
      return entry.data.sql ? brief(entry.data.sql) : `${entry.data.operation} ${entry.data.table}`.trim();
    case 'fetch':
      return `${entry.data.method} ${entry.data.url.replace(/^https?:\/\//, '')}`;
    case 'log':
      return entry.data.message;
    case 'error':
      return `${entry.data.name}: ${entry.data.message}`;
    case 'span':
      return entry.data.name;
    case 'auth':
      return [entry.data.provider, entry.data.result].filter(Boolean).join(' → ');
  }
}

function failed(entry: Entry): boolean {
  switch (entry.type) {
    case 'error':
      return true;
    case 'fetch':
      return entry.data.statusCode === 0 || entry.data.statusCode >= 500;
    case 'query':
    case 'span':
      return Boolean(entry.data.error);
    case 'log':
      return entry.data.level === 'error';
    case 'auth':
      return false;
  }
}

function arranged(node: Node): Node {
  // What happened in a job of another time scale stands on the job's own page.
  const held = node.later === undefined ? node.children : node.children.filter((child) => child.kind === 'job');
  const children = held.map(arranged).sort((a, b) => a.start - b.start);
  return { ...node, children: folded(children) };
}

/** Siblings with each run of equal queries replaced by one node that holds them. */
export function folded(siblings: Node[]): Node[] {
  const result: Node[] = [];
  for (let at = 0; at < siblings.length;) {
    const shape = shapeOf(siblings[at]);
    let end = at + 1;
    while (shape !== undefined && end < siblings.length && shapeOf(siblings[end]) === shape) end += 1;
    const run = siblings.slice(at, end);
    if (run.length >= FOLD_FROM) result.push(fold(run));
    else result.push(...run);
    at = end;
  }
  return result;
}

function shapeOf(node: Node | undefined): string | undefined {
  if (node?.kind !== 'query' || node.entry?.type !== 'query' || node.children.length > 0) return undefined;
  const { shapeHash, shape, sql } = node.entry.data;
  return shapeHash ?? shape ?? sql;
}

function fold(run: Node[]): Node {
  const first = run[0] as Node;
  const end = Math.max(...run.map((node) => node.start + node.durationMs));
  const hashes = run.map((node) => (node.entry?.data as Query).paramsHash);
  const known = new Set(hashes.filter((hash) => hash !== undefined));
  return {
    id: `fold-${first.id}`,
    kind: 'fold',
    label: first.label,
    service: first.service,
    start: first.start,
    durationMs: end - first.start,
    failed: run.some((node) => node.failed),
    children: run,
    repeat: {
      count: run.length,
      differing: known.size > 1,
      busyMs: covered(run.map((node) => node.entry?.data as Query)),
    },
  };
}

/** The rows of a tree. Everything is open but folds; `toggled` names those that are the other way. */
export function rows(root: Node, toggled: ReadonlySet<string>): Row[] {
  const found: Row[] = [];
  const visit = (node: Node, depth: number): void => {
    const open = (node.kind !== 'fold') !== toggled.has(node.id);
    found.push({ node, depth, open });
    if (open) for (const child of node.children) visit(child, depth + 1);
  };
  visit(root, 0);
  return found;
}

/** The node with an id, and the ids of the folds around it that must be open to see it. */
export function find(root: Node, id: string, folds: string[] = []): { node: Node; folds: string[] } | undefined {
  if (root.id === id) return { node: root, folds };
  const around = root.kind === 'fold' ? [...folds, root.id] : folds;
  for (const child of root.children) {
    const hit = find(child, id, around);
    if (hit) return hit;
  }
  return undefined;
}

export interface Scale {
  start: number;
  /** Milliseconds from start to end; above 0. */
  length: number;
}

/** From the first start to the last end in the tree; jobs of another time scale do not count. */
export function scale(root: Node): Scale {
  let start = root.start;
  let end = root.start + root.durationMs;
  const visit = (node: Node): void => {
    if (node.later !== undefined) return;
    start = Math.min(start, node.start);
    end = Math.max(end, node.start + node.durationMs);
    node.children.forEach(visit);
  };
  visit(root);
  return { start, length: Math.max(end - start, 0.001) };
}

/** Place on the scale, in percent of its length, kept within it. */
export function place(node: Pick<Node, 'start' | 'durationMs'>, on: Scale): { left: number; width: number } {
  const left = Math.min(100, Math.max(0, ((node.start - on.start) / on.length) * 100));
  return { left, width: Math.min(100 - left, (node.durationMs / on.length) * 100) };
}

/** Round offsets in milliseconds for the scale's lines, at most six, the first 0. */
export function ticks(on: Scale): number[] {
  const rough = on.length / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? 10 * power;
  return Array.from({ length: Math.floor(on.length / step) + 1 }, (_, index) => index * step);
}

/** Milliseconds of a request or job in the database, in outgoing calls, and elsewhere; overlapping stretches count once. */
export function split(owner: Owner, timeline: Entry[]): { db: number; fetch: number; app: number } {
  const db = covered(timeline.flatMap((entry) => (entry.type === 'query' ? [entry.data] : [])));
  const fetch = covered(timeline.flatMap((entry) => (entry.type === 'fetch' ? [entry.data] : [])));
  return { db, fetch, app: Math.max(0, owner.durationMs - db - fetch) };
}

function covered(events: (Query | Fetch)[]): number {
  let total = 0;
  let until = -Infinity;
  for (const { timestamp, durationMs } of [...events].sort((a, b) => a.timestamp - b.timestamp)) {
    total += Math.max(0, timestamp + durationMs - Math.max(until, timestamp));
    until = Math.max(until, timestamp + durationMs);
  }
  return total;
}
