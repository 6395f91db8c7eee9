// How issues are ordered and what their states are called.
import type { Callsite, StatefulIssue } from './schema.ts';

export type Section = 'regressed' | 'open' | 'fixing' | 'resolved' | 'ignored';

export const SECTIONS: { id: Section; title: string; note: string; folded: boolean }[] = [
  { id: 'regressed', title: 'Regressed', note: 'It was gone and came back', folded: false },
  { id: 'open', title: 'Open', note: '', folded: false },
  { id: 'fixing', title: 'Verifying', note: 'Marked as fixed; clean requests will close it', folded: false },
  { id: 'resolved', title: 'Resolved', note: 'Not seen again', folded: true },
  { id: 'ignored', title: "Won't fix", note: '', folded: true },
];

const SEVERITIES = ['critical', 'warning', 'info'];

export function sectionOf(issue: StatefulIssue): Section {
  if (issue.aiStatus === 'wont_fix') return 'ignored';
  return issue.state === 'stale' ? 'resolved' : issue.state;
}

/** Worst first: severity, then what fixing it would save, then how often it was seen. */
export function worstFirst(a: StatefulIssue, b: StatefulIssue): number {
  return (
    SEVERITIES.indexOf(a.issue.severity) - SEVERITIES.indexOf(b.issue.severity) ||
    (b.issue.costMs ?? 0) - (a.issue.costMs ?? 0) ||
    b.occurrences - a.occurrences
  );
}

export interface Told {
  /** One sentence, without the endpoint and the place that stand beside it. */
  says: string;
  /** What to change, without the place. */
  change: string;
  /** What else there is to say. */
  more?: string;
  /** Text of the line at the call site. */
  source?: string;
}

/** The words of an issue for where its endpoint and its call site are shown anyway. */
export function told({ issue }: Pick<StatefulIssue, 'issue'>): Told {
  const site = issue.callSite;
  const place = site && `${site.file}:${site.line}`;
  const bare = (text: string) =>
    place ? text.replace(` at ${place} in ${site.function}`, '').replace(` at ${place}`, '') : text;
  const sourced = place !== undefined && issue.detail?.startsWith(`${place}: `);
  return {
    says: capital(bare(issue.endpoint ? issue.desc.replace(`${issue.endpoint} `, '') : issue.desc)),
    change: bare(issue.hint),
    more: sourced ? undefined : issue.detail,
    source: sourced ? issue.detail?.slice(place.length + 2) : undefined,
  };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Open issues of a request: those that name it as evidence first, then the worst. */
export function issuesOf(request: string, issues: StatefulIssue[]): { issue: StatefulIssue; seenHere: boolean }[] {
  return issues
    .filter((one) => ['open', 'regressed', 'fixing'].includes(sectionOf(one)))
    .map((issue) => ({ issue, seenHere: issue.issue.evidence?.includes(request) ?? false }))
    .sort((a, b) => Number(b.seenHere) - Number(a.seenHere) || worstFirst(a.issue, b.issue));
}

/** Whether an issue is about the line that an event came from. */
export function isAbout(one: StatefulIssue, site: Callsite | undefined): boolean {
  const own = one.issue.callSite;
  return own !== undefined && own.file === site?.file && own.line === site.line;
}
