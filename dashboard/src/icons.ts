// Drawn on a 16 × 16 grid with a stroke of 1.5.
export const ICONS = {
  overview: 'M2.5 13.5v-5M6.2 13.5v-11M9.8 13.5v-7M13.5 13.5v-9',
  requests: 'M2 5h11M10 2l3 3-3 3M14 11H3M6 8l-3 3 3 3',
  jobs: 'M2.5 5.5h11v8h-11ZM5.5 5.5v-3h5v3M2.5 9h4M9.5 9h4M6.5 8h3v2.5h-3Z',
  queries:
    'M2.5 4c0-1.1 2.5-2 5.5-2s5.5.9 5.5 2-2.5 2-5.5 2-5.5-.9-5.5-2ZM2.5 4v8c0 1.1 2.5 2 5.5 2s5.5-.9 5.5-2V4M2.5 8c0 1.1 2.5 2 5.5 2s5.5-.9 5.5-2',
  flows: 'M2 3.5h6.5a2.5 2.5 0 0 1 0 5H6a2.5 2.5 0 0 0 0 5h8M11.5 11l2.5 2.5-2.5 2.5',
  status: 'M1.5 8.5h3l2-5 3 9.5 2-4.5h3',
  errors: 'M8 2 14.5 13.5h-13ZM8 6.5v3M8 11.5v.2',
  logs: 'M2.5 3.5h11M2.5 6.5h7M2.5 9.5h11M2.5 12.5h5',
  issues: 'M8 1.8 13.5 4v4c0 3.2-2.3 5.3-5.5 6.3C4.8 13.3 2.5 11.2 2.5 8V4ZM5.7 8l1.7 1.7 3-3.4',
  fetch: 'M6.5 3H13v6.5M13 3 3.5 12.5',
  span: 'M3 4v8M13 4v8M3 8h10',
  auth: 'M4 7h8v6.5H4ZM5.5 7V5a2.5 2.5 0 0 1 5 0v2',
  search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9ZM10.4 10.4 14 14',
  copy: 'M5.5 5.5h8v8h-8ZM5.5 10.5h-3v-8h8v3',
  check: 'M3 8.5 6.5 12 13 4.5',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  pause: 'M5.5 3v10M10.5 3v10',
  play: 'M4.5 2.8v10.4L13 8Z',
  right: 'M6 3.5 10.5 8 6 12.5',
  down: 'M3.5 6 8 10.5 12.5 6',
  up: 'M8 13V3.5M4 7l4-4 4 4',
  back: 'M13 8H3.5M7 4 3 8l4 4',
  open: 'M9 2.5h4.5V7M13.5 2.5 8 8M6.5 3.5h-4v10h10v-4',
  trash: 'M2.5 4h11M6 4V2.5h4V4M4 4l.7 9.5h6.6L12 4',
  keyboard: 'M1.5 4h13v8h-13ZM4 6.5h.2M6.6 6.5h.2M9.2 6.5h.2M11.8 6.5h.2M4.5 9.5h7',
  light:
    'M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6ZM8 1v1.2M8 13.8V15M1 8h1.2M13.8 8H15M3 3l.9.9M12.1 12.1l.9.9M13 3l-.9.9M3.9 12.1 3 13',
  dark: 'M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z',
  system: 'M1.8 3h12.4v8H1.8ZM5.5 13.8h5M8 11v2.8',
  service: 'M2.5 2.5h11v4.5h-11ZM2.5 9h11v4.5h-11ZM5 4.8h.2M5 11.3h.2',
} as const;

export type IconName = keyof typeof ICONS;
