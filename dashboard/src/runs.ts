// The processes that send, by service, and what did not arrive.
import type { Run, Status } from './schema.ts';

/** The newest process of each service and how many came before it, the last to send first. */
export function newestRuns(runs: Run[]): { run: Run; earlier: number }[] {
  const found = new Map<string, { run: Run; earlier: number }>();
  for (const run of runs) {
    const known = found.get(run.service);
    if (!known) found.set(run.service, { run, earlier: 0 });
    else {
      known.earlier += 1;
      if (run.lastSeenAt > known.run.lastSeenAt) known.run = run;
    }
  }
  return [...found.values()].sort((a, b) => b.run.lastSeenAt - a.run.lastSeenAt);
}

const MEANINGS: Record<string, string> = {
  buffer_full: 'The app made events faster than they could be sent. BRAKIT_BUFFER sets how many are held.',
  encoding: 'The SDK could not write the event as JSON.',
  rejected: 'The server refused the event as malformed.',
  unanswered: 'The server took too long or went away while the batch was sent.',
  failed: 'The sender itself failed while it worked on the batch.',
};

function meaning(reason: string): string {
  const status = /^status_(\d+)$/.exec(reason)?.[1];
  if (status) return `The server answered ${status}.`;
  return MEANINGS[reason] ?? 'The SDK dropped them.';
}

/** Events that are missing, by reason, most first. */
export function lost(
  status: Pick<Status, 'dropped' | 'rejected'>,
): { reason: string; number: number; means: string }[] {
  const found = Object.entries(status.dropped)
    .filter(([, number]) => number > 0)
    .map(([reason, number]) => ({ reason, number, means: meaning(reason) }));
  if (status.rejected > 0)
    found.push({
      reason: 'malformed',
      number: status.rejected,
      means: 'The server refused them since it was started.',
    });
  return found.sort((a, b) => b.number - a.number);
}
