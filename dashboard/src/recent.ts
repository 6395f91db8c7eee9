// The stretch of time that the overview shows before anybody has chosen one.
import type { Run } from './schema.ts';

const USUAL_MIN = 15;
const LONGEST_MIN = 7 * 24 * 60;

/**
 * Whole minutes until now that hold what was sent: since the first process of the last quarter of an hour began, at most that
 * quarter; when all have been quiet for longer, back to where the last one was still sending.
 */
export function fitting(runs: Pick<Run, 'firstSeenAt' | 'lastSeenAt'>[], now: number): number {
  const age = (time: number) => Math.max(1, Math.ceil((now - time) / 60_000));
  const last = Math.max(...runs.map((run) => run.lastSeenAt));
  if (!Number.isFinite(last)) return USUAL_MIN;
  if (age(last) > USUAL_MIN) return Math.min(LONGEST_MIN, age(last) + USUAL_MIN);
  const awake = runs.filter((run) => age(run.lastSeenAt) <= USUAL_MIN);
  return Math.min(USUAL_MIN, age(Math.min(...awake.map((run) => run.firstSeenAt))));
}

/** `last minute`, `last 12 minutes`, `last 3 hours`, `last 2 days`. */
export function lately(minutes: number): string {
  if (minutes <= 1) return 'last minute';
  if (minutes < 120) return minutes === 60 ? 'last hour' : `last ${minutes} minutes`;
  const hours = Math.round(minutes / 60);
  return hours <= 48 ? `last ${hours} hours` : `last ${Math.round(hours / 24)} days`;
}
