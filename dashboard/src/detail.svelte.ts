// All about one request or job, fetched again while more of it, or of what it caused, arrives.
import { onMount, untrack } from 'svelte';
import { Answer } from './answer.svelte.ts';
import { get } from './api.ts';
import { live } from './live.svelte.ts';
import type { JobDetail, RequestDetail } from './schema.ts';
import { ownerOf, type Owner } from './waterfall.ts';

export type List = 'requests' | 'jobs';

/** To be called while a component is made, as it follows `id` and ends with the component. */
export function followed<D extends RequestDetail | JobDetail>(list: List, id: () => string): Answer<D> {
  const detail = new Answer((signal) => get<D>(`${list}/${encodeURIComponent(id())}`, {}, signal));

  $effect(() => {
    void id();
    untrack(() => void detail.refresh());
  });

  onMount(() => {
    const owned = (events: { parentRequestId: string | null }[]) => {
      const shown = new Set([id(), ...(detail.value?.children ?? []).map((child) => childOf(child).id)]);
      if (events.some((event) => shown.has(event.parentRequestId ?? ''))) detail.soon();
    };
    const traced = (owners: Owner[]) => {
      const trace = detail.value && ownerOf(detail.value).traceId;
      if (owners.some((owner) => owner.id === id() || (trace && owner.traceId === trace))) detail.soon();
      else owned(owners);
    };
    const stops = [
      live.on('query', owned),
      live.on('fetch', owned),
      live.on('log', owned),
      live.on('error', owned),
      live.on('request', traced),
      live.on('job', traced),
      detail.follow('issues', 'resync'),
    ];
    return () => stops.forEach((stop) => stop());
  });

  return detail;
}

function childOf(child: RequestDetail['children'][number]): Owner {
  return child.type === 'job' ? child.job : child.request;
}
