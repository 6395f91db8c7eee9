import { expect, it } from 'vitest';
import { visit } from '../dev/world.ts';
import { curl } from './curl.ts';
import type { Request } from './schema.ts';

const [request] = visit(0).requests as [Request];

it('goes to the app itself and leaves masked headers out', () => {
  const text = curl({
    ...request,
    method: 'POST',
    url: "/a?x='1'",
    headers: { host: 'localhost:8000', accept: '*/*', cookie: '[redacted]' },
    requestBody: "it's",
  });
  expect(text).toBe(
    `curl -X POST 'http://localhost:8000/a?x='\\''1'\\''' \\\n  -H 'accept: */*' \\\n  --data-raw 'it'\\''s'`,
  );
});

it('quotes whatever a client may have sent as a method', () => {
  expect(curl({ ...request, method: 'GET;rm' })).toContain("-X 'GET;rm'");
});
