import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes, webcrypto } from 'node:crypto';
import { test } from 'node:test';
import * as sdk from '../dist/sealagent.js';
import { fakeBrowser, info, json, memory, never } from './browser.mjs';

function agent(options, credentials = memory()) {
  const browser = fakeBrowser(options);
  return { browser, agent: new sdk.SealAgent({ browser, credentials, ports: [17329, 17330] }) };
}

const rejectsAs = (promise, type, extra = {}) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof type, `${error?.name}: ${error?.stack}`);
    assert.ok(error instanceof sdk.SealAgentError && error.messageZh.length > 0);
    for (const [key, value] of Object.entries(extra)) assert.deepEqual(error[key], value);
    return true;
  });

test('the documented ports are tried in order', () => {
  assert.deepEqual(sdk.PORTS, [17329, 17330, 17331, 17332, 17333, 17334, 17335, 17336, 17337, 17338]);
});

test('a closed port is passed over', async () => {
  const { agent: it, browser } = agent({ ports: { 17330: () => json(info) } });
  assert.equal((await it.connect()).paired, true);
  assert.deepEqual(browser.calls.map((call) => call.url), ['http://127.0.0.1:17329/v1/info', 'http://127.0.0.1:17330/v1/info']);
});

test('https is tried last, and only where the site says so', async () => {
  const asked = (calls) => calls.map((call) => call.url.split('/v1')[0]);
  const plain = agent({});
  await rejectsAs(plain.agent.connect(), sdk.NotRunning);
  assert.ok(asked(plain.browser.calls).every((url) => url.startsWith('http://')));
  const browser = fakeBrowser({ ports: { 17339: () => json(info) } });
  const site = new sdk.SealAgent({ browser, credentials: memory(), ports: [17329], tlsPorts: sdk.TLS_PORTS });
  await site.connect();
  assert.deepEqual(asked(browser.calls), ['http://127.0.0.1:17329', 'https://127.0.0.1:17339']);
});

test('calls carry no cache mode and no address space', async () => {
  const { agent: it, browser } = agent({ ports: { 17329: ({ url }) => json(url.pathname === '/v1/info' ? info : []) } });
  await it.seals();
  for (const call of browser.calls) {
    assert.ok(!('cache' in call) && !('targetAddressSpace' in call));
    assert.deepEqual([call.mode, call.credentials, call.redirect, call.referrerPolicy], ['cors', 'omit', 'error', 'no-referrer']);
  }
});

test('exactly one request is under way until the permission is known', async () => {
  const open = { 17329: async ({ url }, fake) => {
    if (url.pathname === '/v1/info') {
      await new Promise((resolve) => setTimeout(resolve, 20));
      fake.state = 'granted';
      return json(info);
    }
    return json([]);
  } };
  const { agent: it, browser } = agent({ state: 'prompt', ports: open });
  let told = 0;
  await Promise.all([it.connect({ onPermission: () => { told += 1; } }), it.seals(), it.tokens()]);
  assert.equal(browser.calls.filter((call) => call.url.endsWith('/v1/info')).length, 1);
  assert.equal(told, 1);
  assert.equal(browser.calls[0].url, 'http://127.0.0.1:17329/v1/info');
});

test('nothing listens: not running', () => rejectsAs(agent({}).agent.connect(), sdk.NotRunning));

test('no permissions API: not running too', () => rejectsAs(agent({ names: [] }).agent.connect(), sdk.NotRunning));

test('denied by the person or by a policy', async () => {
  await rejectsAs(agent({ state: 'denied' }).agent.connect(), sdk.BlockedByBrowser, { reason: 'denied' });
  // The state changes during the call.
  const ports = { 17329: (_, fake) => { fake.state = 'denied'; throw new TypeError('Failed to fetch'); } };
  await rejectsAs(agent({ state: 'prompt', ports }).agent.connect(), sdk.BlockedByBrowser, { reason: 'denied' });
});

test('the old name of the permission is understood', () =>
  rejectsAs(agent({ state: 'denied', names: ['local-network-access'] }).agent.connect(), sdk.BlockedByBrowser));

test('a question that was closed is dismissed, and no further port is tried', async () => {
  const ports = { 17329: (_, fake) => { fake.time += 3000; throw new TypeError('Failed to fetch'); }, 17330: () => json(info) };
  const { agent: it, browser } = agent({ state: 'prompt', ports });
  await rejectsAs(it.connect(), sdk.BlockedByBrowser, { reason: 'dismissed' });
  assert.equal(browser.calls.length, 1);
});

test('a call that failed while the person allowed it is repeated once', async () => {
  let calls = 0;
  const ports = { 17329: (_, fake) => {
    calls += 1;
    if (calls > 1) return json(info);
    fake.state = 'granted';
    throw new TypeError('Failed to fetch');
  } };
  await agent({ state: 'prompt', ports }).agent.connect();
  assert.equal(calls, 2);
});

test('content security policy is named, also when its event comes late', async () => {
  const violated = (fake, url) => {
    const event = new Event('securitypolicyviolation');
    setTimeout(() => fake.violations.dispatchEvent(Object.assign(event, { blockedURI: url, effectiveDirective: 'connect-src' })), 5);
  };
  const ports = { 17329: ({ url }, fake) => { violated(fake, url.href); throw new TypeError('Failed to fetch'); } };
  await rejectsAs(agent({ ports }).agent.connect(), sdk.BlockedByCsp, { blockedUri: 'http://127.0.0.1:17329/v1/info' });
});

test('a violation of something else explains nothing', async () => {
  const ports = { 17329: (_, fake) => {
    const event = new Event('securitypolicyviolation');
    fake.violations.dispatchEvent(Object.assign(event, { blockedURI: 'https://other.example/', effectiveDirective: 'connect-src' }));
    throw new TypeError('Failed to fetch');
  } };
  await rejectsAs(agent({ ports }).agent.connect(), sdk.NotRunning);
});

test('an agent of another version is named, and which side is old', async () => {
  const version = (apiVersions) => agent({ ports: { 17329: () => json({ product: 'sealagent', apiVersions }) } }).agent.connect();
  await rejectsAs(version([0]), sdk.VersionTooOld, { outdated: 'agent' });
  await rejectsAs(version([2, 3]), sdk.VersionTooOld, { outdated: 'site' });
});

test('another program on the port is passed over', async () => {
  const ports = { 17329: () => json({ hello: 'world' }), 17330: () => json(info) };
  assert.equal((await agent({ ports }).agent.connect()).product, 'sealagent');
});

test('a site that is not allowed is told so before it sends anything', async () => {
  const { agent: it, browser } = agent({ ports: { 17329: () => json({ product: 'sealagent', apiVersions: [1] }) } });
  await rejectsAs(it.seals(), sdk.OriginNotApproved, { reason: 'unpaired' });
  assert.equal(browser.calls.length, 1);
});

test('a refusal without CORS headers is told from an agent that was stopped', async () => {
  let isAllowed = true;
  const answers = ({ url }) => {
    if (url.pathname === '/v1/info') return json(isAllowed ? info : { product: 'sealagent', apiVersions: [1] });
    throw new TypeError('Failed to fetch');
  };
  const ports = { 17329: answers };
  const { agent: it } = agent({ ports });
  await it.connect();
  isAllowed = false;
  await rejectsAs(it.seals(), sdk.OriginNotApproved, { reason: 'forbidden' });
  isAllowed = true;
  await it.connect();
  delete ports[17329];
  await rejectsAs(it.seals(), sdk.ConnectionLost);
  await rejectsAs(it.seals(), sdk.NotRunning);
});

test('an abort is a cancellation, while searching and while waiting for permission', async () => {
  const aborter = new AbortController();
  const { agent: it } = agent({ state: 'prompt', ports: { 17329: never } });
  const search = it.connect({ signal: aborter.signal });
  setTimeout(() => aborter.abort(), 10);
  await rejectsAs(search, sdk.Cancelled);
  await rejectsAs(it.seals({ signal: aborter.signal }), sdk.Cancelled);
});

test('who joined a search goes on when the one who began it leaves', async () => {
  const aborter = new AbortController();
  let calls = 0;
  const ports = { 17329: () => { calls += 1; return calls === 1 ? never() : json(info); } };
  const { agent: it } = agent({ state: 'prompt', ports });
  const [first, second] = [it.connect({ signal: aborter.signal }), it.connect()];
  setTimeout(() => aborter.abort(), 10);
  await rejectsAs(first, sdk.Cancelled);
  assert.equal((await second).product, 'sealagent');
});

test('a port that accepts and never answers is passed over', { timeout: 10_000 }, async () => {
  const { agent: it } = agent({ ports: { 17329: never, 17330: () => json(info) } });
  assert.equal((await it.connect()).product, 'sealagent');
});

test('the agent\'s own error comes through whole', async () => {
  const said = { code: 'busy', message: 'Busy.', messageZh: '忙。', requestId: 'r1', retryable: true, detail: 'x' };
  const ports = { 17329: ({ url }) => (url.pathname === '/v1/info' ? json(info) : json(said, 409)) };
  await rejectsAs(agent({ ports }).agent.seals(), sdk.AgentRefused, { status: 409, code: 'busy', messageZh: '忙。', requestId: 'r1', retryable: true, detail: 'x' });
});

/** An agent that seals: `states` are the answers to the polls. */
function sealing(states, deleted = []) {
  return { 17329: async ({ url, method, body }) => {
    if (url.pathname === '/v1/info') return json(info);
    if (url.pathname === '/v1/documents') return json({ documentId: 'd1', received: body.size }, 201);
    if (url.pathname === '/v1/signatures') return json({ signatureId: 's1' }, 202);
    if (url.pathname.endsWith('/documents/d1')) return new Response('sealed', { headers: { 'Content-Type': 'application/ofd' } });
    if (method === 'DELETE') { deleted.push(url.pathname); return new Response(null, { status: 204 }); }
    assert.equal(url.search, '?wait=20');
    const state = states.shift();
    return state === undefined ? never() : json(state);
  } };
}

test('a document is sealed, with progress and states', async () => {
  const seen = { progress: [], states: [] };
  const { agent: it, browser } = agent({ ports: sealing([{ state: 'waiting', items: [] }, { state: 'signing', items: [] }, { state: 'done', items: [{ state: 'done' }] }]) });
  const sealed = await it.sealDocument(new Blob(['1234']), '44', { kind: 'none' }, {
    name: '合同.ofd',
    onProgress: (sent, total) => seen.progress.push([sent, total]),
    onState: (state) => seen.states.push(state),
  });
  assert.equal(await sealed.text(), 'sealed');
  assert.deepEqual(seen, { progress: [[2, 4], [4, 4]], states: ['waiting', 'signing'] });
  const request = JSON.parse(browser.calls.find((call) => call.url.endsWith('/v1/signatures')).body);
  assert.match(request.idempotencyKey, /^[0-9a-f]{32}$/);
  assert.ok(browser.calls.some((call) => call.url.includes('?name=%E5%90%88%E5%90%8C.ofd')));
});

// Attack item 32.
test('an abort while the person is asked withdraws the request', async () => {
  const deleted = [];
  const aborter = new AbortController();
  const { agent: it } = agent({ ports: sealing([], deleted) });
  const onState = () => setTimeout(() => aborter.abort(), 1);
  await rejectsAs(it.sealDocument(new Blob(['1']), '44', { kind: 'none' }, { signal: aborter.signal, onState }), sdk.Cancelled);
  assert.deepEqual(deleted, ['/v1/signatures/s1']);
});

test('many files: one list, each delivered as it is done, and what is left asked for again', async () => {
  const uploads = ['d0', 'd1', 'd2'];
  let uploaded = 0;
  const bodies = [];
  const item = (state) => ({ state });
  const answers = [
    { state: 'waiting', items: ['waiting', 'waiting', 'waiting'].map(item) },
    { state: 'signing', items: ['done', 'signing', 'signing'].map(item) },
    { state: 'failed', items: [item('done'), { state: 'failed', code: 'token_removed' }, { state: 'failed', code: 'token_removed' }] },
    { state: 'signing', items: ['done', 'done', 'signing'].map(item) },
    { state: 'done', items: ['done', 'done', 'done'].map(item) },
  ];
  const handler = ({ url, method, body }) => {
    if (url.pathname === '/v1/info') return json(info);
    if (url.pathname === '/v1/documents') {
      const n = uploaded++;
      return json({ documentId: uploads[n], name: `n${n}`, sm3: `hash${n}` }, 201);
    }
    if (url.pathname === '/v1/signatures') {
      bodies.push(JSON.parse(body));
      return json({ signatureId: 's1' }, 202);
    }
    if (url.pathname.includes('/documents/')) return new Response(`sealed ${url.pathname.split('/').pop()}`);
    assert.equal(method, 'GET');
    return json(answers.shift());
  };
  const { agent: it } = agent({ ports: { 17329: handler } });
  const told = [];
  const files = uploads.map((name) => ({ file: new Blob([name]), name, seal: '44', stamp: { kind: 'page', pages: 'all', x: 1, y: 2 } }));
  const sealed = await it.sealDocuments(files, {
    timestamp: 'city',
    onState: (state) => told.push(state),
    onProgress: (done, total) => told.push(`${done}/${total}`),
    onSealed: (index) => told.push(index),
    onInterrupted: (status) => { told.push(status.items[1].code); return true; },
  });
  assert.deepEqual(await Promise.all(sealed.map((file) => file.text())), ['sealed d0', 'sealed d1', 'sealed d2']);
  assert.deepEqual(told, ['waiting', '0/3', 'signing', 0, '1/3', 'token_removed', 'waiting', 'signing', 1, '2/3', 2, '3/3']);
  assert.equal(bodies.length, 2);
  assert.deepEqual(bodies[0], bodies[1], 'the same request under the same key');
  assert.deepEqual([bodies[0].count, bodies[0].timestamp, bodies[0].items[2].sm3, bodies[0].items[2].name], [3, 'city', 'hash2', 'n2']);
});

test('many files: an end without all of them is told as such', async () => {
  const handler = ({ url }) => {
    if (url.pathname === '/v1/info') return json(info);
    if (url.pathname === '/v1/documents') return json({ documentId: 'd', name: 'n', sm3: 'h' }, 201);
    if (url.pathname === '/v1/signatures') return json({ signatureId: 's1' }, 202);
    return json({ state: 'declined', items: [{ state: 'declined' }] });
  };
  const { agent: it } = agent({ ports: { 17329: handler } });
  const files = [{ file: new Blob(['1']), seal: '44', stamp: { kind: 'none' } }];
  const sealed = it.sealDocuments(files, { onInterrupted: () => assert.fail('nothing was sealed, so there is nothing to continue') });
  await rejectsAs(sealed, sdk.NotSigned, { state: 'declined' });
});

test('a refusal by the person is told from a failure', async () => {
  const seal = (state) => agent({ ports: sealing([state]) }).agent.sealDocument(new Blob(['1']), '44', { kind: 'none' });
  await rejectsAs(seal({ state: 'declined', items: [{ state: 'declined' }] }), sdk.NotSigned, { state: 'declined', code: 'declined' });
  const failed = { state: 'failed', items: [{ state: 'failed', code: 'token_removed', message: 'Gone.', messageZh: '已拔出。' }] };
  await rejectsAs(seal(failed), sdk.NotSigned, { state: 'failed', code: 'token_removed', messageZh: '已拔出。' });
});

// --- pairing ---

const secret = randomBytes(32);
const mac = (...lines) => createHmac('sha256', secret).update(lines.join('\n')).digest('hex');
const credential = async () => ({
  id: 'ab'.repeat(16),
  key: await webcrypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']),
});

/** An agent that knows the key and checks each call. */
function pairedAgent(port = 17329, run = () => 'r1') {
  const seen = new Set();
  return ({ url, method, headers, body }) => {
    if (url.pathname === '/v1/info') {
      const challenge = url.searchParams.get('challenge');
      return json({ ...info, run: run(), seen: 0, proof: mac('SealAgent-info-1', challenge, String(port), run()) });
    }
    const [, id, n, proof] = headers.Authorization.match(/^SealAgent id=([0-9a-f]{32}), n=(\d+), mac=([0-9a-f]{64})$/);
    const digest = typeof body === 'string' ? createHash('sha256').update(body).digest('hex') : '';
    assert.equal(id, 'ab'.repeat(16));
    if (proof !== mac('SealAgent-request-1', run(), method, url.pathname + url.search, n, digest)) return json({ code: 'not_paired' }, 401);
    assert.ok(!seen.has(n), 'a number was used twice');
    seen.add(n);
    return json(url.pathname === '/v1/signatures' ? { signatureId: 's' } : []);
  };
}

test('each call is proved over method, path, number and JSON', async () => {
  const { agent: it } = agent({ ports: { 17329: pairedAgent() } }, memory(await credential()));
  await Promise.all([it.seals(), it.seals(), it.tokens(), it.requestSignatures({ items: [] }), it.signatureStatus('s', { wait: 3 })]);
});

test('a call is proved anew after the agent was started anew', async () => {
  let run = 'r1';
  const { agent: it } = agent({ ports: { 17329: pairedAgent(17329, () => run) } }, memory(await credential()));
  await it.seals();
  run = 'r2';
  assert.deepEqual(await it.seals(), []);
});

// Attack item 44.
test('a program on the port that cannot prove itself gets nothing, and ours is found behind it', async () => {
  const squatter = ({ url }) => {
    assert.equal(url.pathname, '/v1/info');
    return json({ ...info, run: 'r1', proof: '00'.repeat(32) });
  };
  const { agent: it } = agent({ ports: { 17329: squatter, 17330: pairedAgent(17330) } }, memory(await credential()));
  assert.deepEqual(await it.seals(), []);
  // A relay to the true agent does not help it: the port is part of the proof.
  const relayed = agent({ ports: { 17329: pairedAgent(17330) } }, memory(await credential()));
  await rejectsAs(relayed.agent.seals(), sdk.AgentNotRecognised);
});

/** An agent that is asked for a pairing. */
function pairing(end) {
  let polls = 0;
  return { 17329: ({ url, method, body }) => {
    if (url.pathname === '/v1/info') return url.search ? pairedAgent()({ url }) : json({ product: 'sealagent', apiVersions: [1] });
    if (method === 'POST') {
      assert.deepEqual(JSON.parse(body), { label: '政务' });
      return json({ pairingId: 'p1', code: '042317', expiresAt: '2026-11-24T06:02:00Z' }, 202);
    }
    polls += 1;
    return json(polls === 1 ? { state: 'waiting' } : end);
  } };
}

test('pairing shows the code and keeps a key that scripts cannot read', async () => {
  const store = memory();
  const { agent: it } = agent({ ports: pairing({ state: 'granted', id: 'ab'.repeat(16), key: secret.toString('base64url') }) }, store);
  let shown;
  await it.pair({ label: '政务', onCode: (code) => { shown = code; } });
  assert.equal(shown, '042317');
  assert.equal(store.now().key.extractable, false);
  assert.equal((await it.connect()).paired, true);
});

test('a pairing that the person refuses, or leaves, is told apart', async () => {
  const ask = (state) => agent({ ports: pairing({ state }) }).agent.pair({ label: '政务', onCode: () => {} });
  await rejectsAs(ask('refused'), sdk.OriginNotApproved, { reason: 'refused' });
  await rejectsAs(ask('expired'), sdk.OriginNotApproved, { reason: 'expired' });
});

// --- events ---

test('events come until the page has heard enough', async () => {
  const aborter = new AbortController();
  const socket = (it) => setTimeout(() => {
    it.onopen();
    it.onmessage({ data: JSON.stringify({ type: 'tokenAdded', token: 't' }) });
  }, 1);
  const { agent: it, browser } = agent({ ports: { 17329: pairedAgent() }, socket }, memory(await credential()));
  const seen = [];
  await it.listen((event) => { seen.push(event); aborter.abort(); }, { signal: aborter.signal });
  assert.deepEqual(seen, [{ type: 'tokenAdded', token: 't' }]);
  const [open] = browser.sockets;
  assert.deepEqual([open.url, open.protocol, open.isClosed], ['ws://127.0.0.1:17329/v1/events', 'sealagent.v1', true]);
  const [, n, proof] = JSON.parse(open.sent[0]).authorization.match(/n=(\d+), mac=(.*)$/);
  assert.equal(proof, mac('SealAgent-request-1', 'r1', 'GET', '/v1/events', n, ''));
});

test('the ends of a stream are told apart', async () => {
  const listen = (socket) => agent({ ports: { 17329: () => json(info) }, socket }).agent.listen(() => {});
  await rejectsAs(listen((it) => setTimeout(() => it.onclose({ code: 1006 }), 1)), sdk.ConnectionLost);
  await rejectsAs(listen((it) => setTimeout(() => it.onclose({ code: 1008 }), 1)), sdk.OriginNotApproved, { reason: 'unpaired' });
  const violated = (browser) => {
    const event = Object.assign(new Event('securitypolicyviolation'), { blockedURI: 'ws://127.0.0.1:17329/v1/events', effectiveDirective: 'connect-src' });
    browser.violations.dispatchEvent(event);
  };
  // Chromium fires `error` alone; Firefox throws.
  for (const fails of [(it) => setTimeout(() => it.onerror(), 1), () => { throw new DOMException('', 'SecurityError'); }]) {
    let browser;
    const made = agent({ ports: { 17329: () => json(info) }, socket: (it) => { setTimeout(() => violated(browser), 5); fails(it); } });
    browser = made.browser;
    await rejectsAs(made.agent.listen(() => {}), sdk.BlockedByCsp);
  }
});
