// Captured bytes are hostile: whatever stands in them is shown as text.
import { flushSync, mount, unmount, type Component } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import EventPanel from '../src/parts/EventPanel.svelte';
import Exchange from '../src/parts/Exchange.svelte';
import FlowView from '../src/parts/FlowView.svelte';
import IssueBanner from '../src/parts/IssueBanner.svelte';
import IssueCard from '../src/parts/IssueCard.svelte';
import Waterfall from '../src/parts/Waterfall.svelte';
import JobFacts from '../src/parts/JobFacts.svelte';
import JobStatus from '../src/parts/JobStatus.svelte';
import type { Flows, Job, JobDetail, RequestDetail } from '../src/schema.ts';
import { tree } from '../src/waterfall.ts';
import { World } from '../dev/server.ts';

const PAYLOADS = [
  '<img src=x onerror=alert(1)>',
  '<script>alert(1)</script>',
  '"><svg onload=alert(1)>',
  "'-alert(1)-'",
  'javascript:alert(1)',
  '</title><iframe src=//evil.test>',
  '{{constructor.constructor("alert(1)")()}}',
  '\u2028\u2029\u0000<b>',
];

/** The value with every text in it replaced. */
function poisoned<T>(
  value: T,
  payload: string,
  keep: readonly string[] = ['id', 'parentRequestId', 'type', 'spanId', 'fetchId'],
): T {
  if (typeof value === 'string') return payload as T;
  if (Array.isArray(value)) return value.map((item: unknown) => poisoned(item, payload, keep)) as T;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, keep.includes(key) ? item : poisoned(item, payload, keep)]),
  ) as T;
}

const world = new World(300);
const details = ['/products/{product_id}/recommended', '/checkout'].map((route) => {
  const request = world.all.requests.find((one) => one.route === route);
  return world.answer(`requests/${request?.id}`, new URLSearchParams()) as RequestDetail;
});

const failed = world.all.jobs.find((one) => one.status === 'failed') ?? world.all.jobs[0];
const job = world.answer(`jobs/${failed?.id}`, new URLSearchParams()) as JobDetail;

let mounted: Record<string, unknown> | undefined;
afterEach(async () => {
  if (mounted) await unmount(mounted);
  document.body.replaceChildren();
});

async function page<P extends Record<string, unknown>>(part: Component<P>, props: P): Promise<HTMLElement> {
  document.body.replaceChildren();
  mounted = mount(part as unknown as Component<Record<string, unknown>>, { target: document.body, props });
  flushSync();
  await new Promise((resolve) => setTimeout(resolve));
  return document.body;
}

function harmless(body: HTMLElement): void {
  expect(body.querySelectorAll('script, img, iframe, object, embed, b, title')).toHaveLength(0);
  for (const element of body.querySelectorAll('*')) {
    for (const { name, value } of element.attributes) {
      expect(name).not.toMatch(/^on/);
      if (name === 'href') expect(value).toMatch(/^(\/__brakit\/|vscode:\/\/file\/)/);
    }
  }
}

describe.each(PAYLOADS)('%j', (payload) => {
  it('is text in a waterfall and in the details of each event', async () => {
    for (const detail of [...details, job]) {
      const root = tree(poisoned(detail, payload));
      harmless(await page(Waterfall, { root, selected: undefined, onselect: () => undefined }));
      for (const node of [root, ...root.children]) {
        const body = await page(EventPanel, { node, detail: poisoned(detail, payload), onclose: () => undefined });
        harmless(body);
        expect(body.textContent).toContain(payload.slice(0, 6));
      }
    }
  });

  it('is text in what is told of a job', async () => {
    const { job: told } = poisoned(job, payload);
    for (const part of [JobFacts, JobStatus] as Component<{ job: Job }>[]) {
      const body = await page(part, { job: told });
      harmless(body);
      expect(body.textContent).toContain(payload.slice(0, 6));
    }
  });

  it('is text in headers, cookies, bodies and issues', async () => {
    const [detail] = details as [RequestDetail];
    for (const of of ['Request', 'Response'] as const) {
      const request = {
        ...poisoned(detail.request, payload),
        headers: { [payload]: payload },
        cookies: [{ name: payload, sameSite: payload }],
      };
      harmless(await page(Exchange, { of, request }));
      harmless(
        await page(Exchange, {
          of,
          request: {
            ...request,
            requestBody: JSON.stringify({ [payload]: [payload] }),
            responseBody: JSON.stringify([payload]),
          },
        }),
      );
    }
    for (const issue of world.issues) harmless(await page(IssueCard, { issue: poisoned(issue, payload) }));
    const open = world.issues.map((issue) => poisoned(issue, payload, ['id', 'state', 'category']));
    const banner = await page(IssueBanner, { owner: detail.request, issues: open });
    harmless(banner);
    expect(banner.textContent).toContain(payload.slice(0, 6));
    const { flows } = world.answer('flows', new URLSearchParams()) as Flows;
    for (const flow of flows.slice(0, 3)) harmless(await page(FlowView, { flow: poisoned(flow, payload) }));
  });
});
