// An invented shop and its payments service, for working on the dashboard without a server. Typed by the real shapes.
import type { Error as ErrorRecord, Fetch, Frame, Job, Log, Query, Request, Run } from '../src/schema.ts';

export interface Happened {
  requests: Request[];
  queries: Query[];
  fetches: Fetch[];
  logs: Log[];
  errors: ErrorRecord[];
  jobs: Job[];
}

export const nothing = (): Happened => ({ requests: [], queries: [], fetches: [], logs: [], errors: [], jobs: [] });

/** What happened first, and after it the rest. */
export function joined(into: Happened, more: Happened, add: 'push' | 'unshift'): void {
  for (const kind of Object.keys(into) as (keyof Happened)[]) (into[kind] as unknown[])[add](...more[kind]);
}

const hex = (length: number) => Array.from({ length }, () => Math.floor(Math.random() * 16).toString(16)).join('');
const between = (low: number, high: number) => low + Math.random() * (high - low);
const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)] as T;

export const RUNS: Run[] = [
  run('shop', 'fastapi 0.121', 4242, { starlette: '0.50.0', sqlalchemy: '2.0.44', httpx: '0.28.1', logging: '3.11' }),
  run('payments', 'flask 3.1', 4243, { flask: '3.1.2', sqlalchemy: '2.0.44', logging: '3.11' }),
];

function run(service: string, framework: string, pid: number, instrumentations: Record<string, string>): Run {
  const now = Date.now();
  return {
    run: `dev-${pid}`,
    service,
    host: 'dev',
    pid,
    started: now - 900_000,
    runtime: 'cpython 3.11.7',
    framework,
    sdk: 'brakit-python/0.1.0',
    root: `/home/ada/${service}`,
    instrumentations,
    firstSeenAt: now - 900_000,
    lastSeenAt: now,
    events: 0,
  };
}

interface Plan {
  method: string;
  route: string;
  path: () => string;
  weight: number;
  act: (story: Story) => void;
}

class Story {
  readonly happened = nothing();
  readonly id = hex(32);
  status = 200;
  body: string | null = null;
  response: string | null = null;

  constructor(
    readonly start: number,
    readonly service: string,
    readonly traceId: string = hex(32),
    public at = start,
  ) {
    this.wait(between(0.4, 2));
  }

  get #of() {
    return {
      parentRequestId: this.id,
      parentId: this.id,
      traceId: this.traceId,
      service: this.service,
      run: RUNS.find((one) => one.service === this.service)?.run,
    };
  }

  wait(ms: number): void {
    this.at += ms;
  }

  query(sql: string, ms: number, line: number, params = hex(16), error?: string): void {
    const [operation = 'OTHER'] = sql.split(' ');
    const table = /(?:FROM|INTO|UPDATE) (\w+)/.exec(sql)?.[1] ?? '';
    const shapeHash = hash(sql);
    this.happened.queries.push({
      ...this.#of,
      id: hex(16),
      timestamp: this.at,
      driver: 'sqlalchemy',
      source: 'sqlalchemy',
      operation,
      normalizedOp: operation,
      table,
      durationMs: ms,
      sql,
      shape: sql,
      shapeHash,
      paramsHash: params,
      rowCount: Math.floor(between(0, 30)),
      system: 'sqlite',
      connectionId: 'c1',
      callSite: { file: `${this.service}/${table || 'db'}.py`, line, function: `load_${table}` },
      error,
    });
    this.wait(ms + between(0.05, 0.6));
  }

  log(level: string, message: string, fields?: Record<string, string>, exception?: Log['exception']): void {
    this.happened.logs.push({
      ...this.#of,
      id: hex(16),
      timestamp: this.at,
      level,
      message,
      logger: `${this.service}.api`,
      callSite: { file: `${this.service}/api.py`, line: 41, function: 'handle' },
      fields,
      exception,
    });
  }

  error(name: string, message: string, file: string, line: number, code: string[]): void {
    const own: Frame = {
      file,
      line,
      function: 'recommend',
      own: true,
      code,
      codeStart: line - Math.floor(code.length / 2),
    };
    const library = (path: string, at: number, fn: string): Frame => ({
      file: `site-packages/${path}`,
      line: at,
      function: fn,
      own: false,
    });
    const frames = [
      library('starlette/routing.py', 716, 'app'),
      library('fastapi/routing.py', 301, 'run_endpoint_function'),
      {
        file: `${this.service}/api.py`,
        line: 88,
        function: 'product',
        own: true,
        code: [
          '@app.get("/products/{product_id}")',
          'async def product(product_id: int):',
          '    return await recommend(product_id)',
        ],
        codeStart: 86,
      },
      own,
    ];
    this.happened.errors.push({
      ...this.#of,
      id: hex(16),
      timestamp: this.at,
      name,
      message,
      stack: `Traceback (most recent call last):\n${frames.map((frame) => `  File "${frame.file}", line ${frame.line}, in ${frame.function}`).join('\n')}\n${name}: ${message}`,
      frames,
      causes: [{ name: 'KeyError', message: "'weights'", frames: [own] }],
      handled: false,
      mechanism: 'starlette',
      callSite: { file, line, function: 'recommend' },
    });
    this.status = 500;
  }

  call(other: Story, method: string, path: string, route: string, line: number): void {
    const fetchId = hex(16);
    const begun = this.at;
    const done = finish(other, { method, path, route, parentRequestId: this.id, parentFetchId: fetchId });
    this.at = other.at + between(0.5, 2);
    this.happened.fetches.push({
      ...this.#of,
      id: hex(16),
      timestamp: begun,
      fetchId,
      url: `http://127.0.0.1:9001${path}`,
      method,
      statusCode: other.status,
      durationMs: this.at - begun,
      source: 'httpx',
      callSite: { file: 'shop/checkout.py', line, function: 'pay' },
      requestSize: 182,
      responseSize: 96,
    });
    joined(this.happened, done, 'push');
  }

  /** `work` happens in a job that begins `waitMs` from now. */
  enqueue(name: string, waitMs: number, more: Partial<Job>, work: (inside: Story) => void): void {
    const inside = new Story(this.at + waitMs, this.service, this.traceId);
    work(inside);
    inside.wait(between(0.5, 4));
    inside.happened.jobs.push({
      id: inside.id,
      timestamp: inside.start,
      parentRequestId: this.id,
      traceId: this.traceId,
      service: this.service,
      run: RUNS.find((one) => one.service === this.service)?.run,
      name,
      durationMs: inside.at - inside.start,
      status: inside.status < 500 ? 'succeeded' : 'failed',
      error: inside.happened.errors.map((one) => `${one.name}: ${one.message}`)[0],
      callSite: { file: `${this.service}/tasks.py`, line: 12, function: name.split('.').at(-1) ?? name },
      ...more,
    });
    joined(this.happened, inside.happened, 'push');
  }
}

export const ITEMS =
  'SELECT order_items.id, order_items.product_id, order_items.quantity FROM order_items WHERE order_items.order_id = ?';
const PLANS: Plan[] = [
  {
    method: 'GET',
    route: '/products',
    path: () => `/products?page=${Math.ceil(between(0, 9))}`,
    weight: 8,
    act: products,
  },
  {
    method: 'GET',
    route: '/products/{product_id}',
    path: () => `/products/${Math.ceil(between(0, 400))}`,
    weight: 10,
    act: product,
  },
  { method: 'GET', route: '/orders', path: () => '/orders', weight: 4, act: orders },
  {
    method: 'GET',
    route: '/search',
    path: () => `/search?q=${pick(['lamp', 'desk', 'blue%20chair'])}`,
    weight: 3,
    act: search,
  },
  { method: 'POST', route: '/cart/items', path: () => '/cart/items', weight: 5, act: cart },
  { method: 'POST', route: '/checkout', path: () => '/checkout', weight: 2, act: checkout },
  {
    method: 'GET',
    route: '/products/{product_id}/recommended',
    path: () => `/products/${Math.ceil(between(0, 400))}/recommended`,
    weight: 1,
    act: recommended,
  },
  { method: 'POST', route: '/login', path: () => '/login', weight: 2, act: login },
];

function products(story: Story): void {
  story.query('SELECT count(*) AS total FROM products WHERE products.is_active = ?', between(0.4, 2), 21);
  story.query(
    'SELECT products.id, products.name, products.price_cents, products.stock FROM products WHERE products.is_active = ? ORDER BY products.created_at DESC LIMIT ? OFFSET ?',
    between(1, 6),
    27,
  );
  story.response = JSON.stringify({
    total: 412,
    page: 2,
    products: Array.from({ length: 6 }, (_, id) => ({
      id,
      name: `Lamp ${id}`,
      priceCents: 1990 + id,
      tags: ['light', 'sale'],
    })),
  });
}

function product(story: Story): void {
  story.query(
    'SELECT products.id, products.name, products.price_cents, products.stock FROM products WHERE products.id = ?',
    between(0.3, 2),
    44,
  );
  story.query(
    'SELECT avg(reviews.stars) AS stars, count(*) AS number FROM reviews WHERE reviews.product_id = ?',
    between(0.4, 3),
    18,
  );
  story.log('debug', 'product read from the database', { cache: 'miss' });
  story.response = JSON.stringify({ id: 17, name: 'Lamp', stars: 4.4 });
  if (Math.random() < 0.08) story.status = 404;
}

function orders(story: Story): void {
  story.query('SELECT users.id, users.name FROM users WHERE users.session_id = ?', between(0.3, 1), 12);
  story.query(
    'SELECT orders.id, orders.created_at, orders.state FROM orders WHERE orders.user_id = ? ORDER BY orders.created_at DESC LIMIT ?',
    between(1, 4),
    33,
  );
  for (let index = 0; index < 14; index++) story.query(ITEMS, between(0.5, 2.4), 39);
  story.log('info', 'listed 14 orders', { user: '1180', orders: '14' });
}

function search(story: Story): void {
  story.query(
    "SELECT products.id, products.name FROM products WHERE lower(products.description) LIKE '%' || ? || '%' ORDER BY products.rank",
    between(380, 1400),
    61,
  );
  story.log('warn', 'search took longer than 300 ms');
}

function cart(story: Story): void {
  story.body = JSON.stringify({ productId: 12, quantity: 2 });
  story.query('SELECT products.stock FROM products WHERE products.id = ?', between(0.2, 1), 14);
  story.query('INSERT INTO cart_items (cart_id, product_id, quantity) VALUES (?, ?, ?)', between(1, 5), 22);
  story.status = 201;
  story.response = JSON.stringify({ items: 3 });
}

function checkout(story: Story): void {
  story.body = JSON.stringify({ cartId: 88, card: '[redacted]' });
  story.query(
    'SELECT cart_items.id, cart_items.product_id, cart_items.quantity FROM cart_items WHERE cart_items.cart_id = ?',
    between(0.5, 2),
    17,
  );
  story.log('info', 'starting payment', { cart: '88', amountCents: '5970' });
  story.wait(between(1, 4));
  const payment = new Story(story.at + between(0.5, 1.5), 'payments', story.traceId);
  payment.query('SELECT accounts.id, accounts.balance FROM accounts WHERE accounts.id = ?', between(0.4, 2), 9);
  payment.wait(between(30, 120));
  if (Math.random() < 0.3) {
    payment.log(
      'error',
      'card was declined by the bank',
      { code: '51' },
      {
        name: 'CardDeclined',
        message: 'insufficient funds',
        stack:
          'Traceback (most recent call last):\n  File "payments/bank.py", line 40, in charge\nCardDeclined: insufficient funds',
      },
    );
    payment.status = 502;
  } else payment.query('INSERT INTO payments (account_id, amount_cents, state) VALUES (?, ?, ?)', between(1, 4), 31);
  payment.wait(2);
  story.call(payment, 'POST', '/payments', '/payments', 52);
  if (payment.status >= 500) {
    story.log('error', 'payment failed: 502');
    story.status = 502;
    return;
  }
  story.query('UPDATE orders SET state = ? WHERE orders.id = ?', between(1, 4), 71);
  story.enqueue('write_receipt', between(1, 5), { source: 'starlette' }, (job) =>
    job.query('INSERT INTO receipts (order_id, state) VALUES (?, ?)', between(1, 4), 8),
  );
  const waitMs = between(600, 4000);
  story.enqueue('shop.tasks.mail', waitMs, { source: 'celery', queue: 'mail', attempt: 1, waitMs }, (job) => {
    job.query('SELECT orders.id, orders.state FROM orders WHERE orders.id = ?', between(0.5, 2), 15);
    job.wait(between(40, 300));
    if (Math.random() < 0.3)
      job.error('SMTPServerDisconnected', 'Connection unexpectedly closed', 'shop/mail.py', 27, [
        'def send(order: Order) -> None:',
        '    with SMTP(HOST) as smtp:',
        '        smtp.send_message(receipt(order))',
      ]);
  });
}

function recommended(story: Story): void {
  story.query('SELECT products.id FROM products WHERE products.category_id = ? LIMIT ?', between(0.5, 2), 80);
  story.error('ZeroDivisionError', 'division by zero', 'shop/recommend.py', 31, [
    'def recommend(product_id: int) -> list[Product]:',
    '    scores = weights(product_id)',
    '    total = sum(scores.values())',
    '    return [',
    '        Product(id, score / total)',
    '        for id, score in scores.items()',
    '    ]',
  ]);
}

function login(story: Story): void {
  story.body = JSON.stringify({ email: 'ada@example.org', password: '[redacted]' });
  story.query('SELECT users.id, users.password_hash FROM users WHERE users.email = ?', between(0.4, 2), 19);
  story.wait(between(40, 90));
  if (Math.random() < 0.25) story.status = 401;
  story.log(story.status === 401 ? 'warn' : 'info', story.status === 401 ? 'log-in refused' : 'logged in');
}

interface Finish {
  method: string;
  path: string;
  route: string;
  parentRequestId?: string;
  parentFetchId?: string;
}

function finish(story: Story, { method, path, route, parentRequestId, parentFetchId }: Finish): Happened {
  story.wait(between(0.3, 3));
  story.response ??= story.status >= 500 ? '{"detail":"Internal Server Error"}' : '{"ok":true}';
  story.happened.requests.push({
    id: story.id,
    timestamp: story.start,
    startedAt: story.start,
    parentRequestId: parentRequestId ?? null,
    parentFetchId,
    traceId: story.traceId,
    service: story.service,
    run: RUNS.find((one) => one.service === story.service)?.run,
    method,
    url: path,
    path: path.replace(/\?.*/, ''),
    route,
    statusCode: story.status,
    durationMs: story.at - story.start,
    headers: {
      host: '127.0.0.1:8000',
      accept: 'application/json',
      'user-agent': 'Mozilla/5.0 (X11; Linux x86_64)',
      cookie: '[redacted]',
      'accept-language': 'en',
    },
    responseHeaders: {
      'content-type': 'application/json',
      'content-length': String(story.response.length),
      'set-cookie': '[redacted]',
    },
    requestBody: story.body,
    requestSize: story.body?.length,
    responseBody: story.response,
    responseSize: story.response.length,
    isStatic: false,
    isHealthCheck: false,
    client: '127.0.0.1',
    framework: story.service === 'shop' ? 'fastapi' : 'flask',
    httpVersion: '1.1',
    scheme: 'http',
    cookies: path === '/login' ? [{ name: 'session', httpOnly: true, sameSite: 'lax', expires: true }] : undefined,
  });
  return story.happened;
}

/** One visit: a request with all that it caused, starting at `start`. */
export function visit(start: number): Happened {
  const total = PLANS.reduce((sum, plan) => sum + plan.weight, 0);
  let chosen = Math.random() * total;
  const plan = PLANS.find((candidate) => (chosen -= candidate.weight) < 0) ?? (PLANS[0] as Plan);
  const story = new Story(start, 'shop');
  plan.act(story);
  return finish(story, { method: plan.method, path: plan.path(), route: plan.route });
}

function hash(text: string): string {
  let value = 7;
  for (const letter of text) value = (value * 31 + letter.charCodeAt(0)) % 2 ** 48;
  return Math.trunc(value).toString(16).padStart(16, '0');
}
