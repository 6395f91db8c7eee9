// How issues are ordered and what their states are called.
import type { StatefulIssue } from './schema.ts';

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
