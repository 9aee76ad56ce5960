// Chromium on public pages, through the client and the demo page, to an agent whose person answers by the document's name. Started
// by tests/browsers.rs, which also judges what the agent saw. Numbers are those of the list of attacks.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { serve } from './site.mjs';

const folder = process.env.BROWSER_TEST_FOLDER;
const agentPort = Number(process.env.BROWSER_TEST_AGENT_PORT);
const port = Number(process.env.BROWSER_TEST_SITE_PORT);
const executablePath = process.env.BROWSER_TEST_PROGRAM;
const site = (name) => `https://${name}.example:${port}`;
// Allowed by the pages' policy; nothing listens there.
const closedPort = Number(process.env.BROWSER_TEST_CLOSED_PORT);
const seal = process.env.BROWSER_TEST_SEAL;

const args = [
  '--no-sandbox',
  '--host-resolver-rules=MAP *.example 127.0.0.1',
  `--ip-address-space-overrides=127.0.0.1:${port}=public`,
  '--ignore-certificate-errors',
];
let server;
let browser;

before(async () => {
  server = await serve({ port, agentPort, closedPort, folder, sample: readFileSync(join(folder, 'sample.ofd')) });
  browser = await chromium.launch({ executablePath, args });
});

after(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
});

/** A page with the browser's permission as given: `granted`, `denied`, or `prompt`, which a browser without a screen denies. */
async function open(url, permission = 'granted', on = browser) {
  const context = await on.newContext({ ignoreHTTPSErrors: true, locale: 'en-US' });
  if (permission === 'granted') await context.grantPermissions(['local-network-access']);
  if (permission === 'denied') {
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    const { targetInfo } = await session.send('Target.getTargetInfo');
    const setting = { permission: { name: 'loopback-network' }, setting: 'denied', origin: new URL(url).origin };
    await session.send('Browser.setPermission', { ...setting, browserContextId: targetInfo.browserContextId });
  }
  const page = await context.newPage();
  await page.goto(url);
  return { page, close: () => context.close() };
}

/** Runs `body(agent, sdk, ...rest)` in a page or frame; gives its result, or what its error says of itself. */
function run(frame, body, { ports = [agentPort], ...rest } = {}) {
  // As text, so that the module is the page's own.
  return frame.evaluate(`(async () => {
    const rest = ${JSON.stringify(rest)};
    const sdk = await import('/sealagent.js');
    const agent = new sdk.SealAgent({ ports: ${JSON.stringify(ports)} });
    try {
      return { value: await (${body})(agent, sdk, rest) };
    } catch (error) {
      return { error: error.constructor === TypeError ? 'TypeError' : error.name, code: error.code, reason: error.reason, state: error.state, message: error.message };
    }
  })()`);
}

const connect = (agent) => agent.connect();

test('the demo page seals and judges a document', async () => {
  const { page, close } = await open(`${site('sign')}/`);
  await page.locator('input[name=seal]').first().waitFor();
  await page.click('#go');
  await page.locator('#report .verdict').waitFor();
  assert.match(await page.locator('#report .verdict').first().innerText(), /^✔ valid/);
  assert.match(await page.locator('#report').innerText(), /91110108756730417W/);
  assert.equal(await page.locator('#report .button').isVisible(), true);
  await close();
});

// Attack item 32.
test('the demo page withdraws what the person has not answered', async () => {
  const { page, close } = await open(`${site('sign')}/`);
  await page.locator('input[name=seal]').first().waitFor();
  await page.setInputFiles('#file', { name: 'silent.ofd', mimeType: 'application/ofd', buffer: readFileSync(join(folder, 'sample.ofd')) });
  await page.click('#go');
  await page.locator('#trail [data-step=approve][data-state=now]').waitFor();
  await page.click('#cancel');
  await page.locator('#error').waitFor();
  assert.match(await page.locator('#error').innerText(), /The request was withdrawn/);
  await close();
});

test('a refusal by the person is no failure of the program', async () => {
  // Another site than before: the agent keeps one off for a moment after its request was withdrawn.
  const { page, close } = await open(`${site('second')}/empty.html`);
  const sealed = await run(page, async (agent, sdk, { seal }) => {
    const file = await (await fetch('/sample.ofd')).blob();
    return agent.sealDocument(file, seal, { kind: 'none' }, { name: 'decline.ofd' });
  }, { seal });
  assert.deepEqual([sealed.error, sealed.state, sealed.code], ['NotSigned', 'declined', 'declined']);
  await close();
});

test('the script-tag build gives the same client', async () => {
  const { page, close } = await open(`${site('sign')}/empty.html`);
  await page.addScriptTag({ url: '/sealagent.script.js' });
  assert.equal(await page.evaluate((port) => new sealagent.SealAgent({ ports: [port] }).seals().then((seals) => seals.length), agentPort), 1);
  await close();
});

test('an upload tells its progress', async () => {
  const { page, close } = await open(`${site('sign')}/empty.html`);
  const { value } = await run(page, async (agent) => {
    const seen = [];
    const file = await (await fetch('/sample.ofd')).blob();
    await agent.verify(file, { name: 'a.ofd', onProgress: (sent, total) => seen.push([sent, total, file.size]) });
    return seen;
  });
  assert.ok(value.length > 0);
  const [sent, total, size] = value.at(-1);
  assert.deepEqual([sent, total], [size, size]);
  await close();
});

test('the permission is really checked: denied pages reach nothing', async () => {
  for (const permission of ['denied', 'prompt']) {
    const { page, close } = await open(`${site('sign')}/empty.html`, permission);
    const result = await run(page, connect);
    assert.deepEqual([result.error, result.reason], ['BlockedByBrowser', 'denied'], permission);
    await close();
  }
});

test('the page\'s own policy is named as the cause', async () => {
  const { page, close } = await open(`${site('sign')}/no-connect.html`);
  const result = await run(page, connect);
  assert.equal(result.error, 'BlockedByCsp');
  assert.match(result.message, new RegExp(`http://127\\.0\\.0\\.1:${agentPort}`));
  await close();
});

test('a port where nothing listens is not running', async () => {
  const { page, close } = await open(`${site('sign')}/empty.html`);
  assert.equal((await run(page, connect, { ports: [closedPort] })).error, 'NotRunning');
  assert.equal((await run(page, (agent) => agent.connect().then((info) => info.paired), { ports: [closedPort, agentPort] })).value, true);
  await close();
});

// Attack item 22.
test('a new site pairs by a code, and its key survives a reload', async () => {
  const { page, close } = await open(`${site('pair')}/empty.html`);
  const unpaired = await run(page, (agent) => agent.seals());
  assert.deepEqual([unpaired.error, unpaired.reason], ['OriginNotApproved', 'unpaired']);
  const { value: code } = await run(page, async (agent) => {
    let code;
    await agent.pair({ label: 'Test', onCode: (shown) => { code = shown; } });
    return code;
  });
  assert.match(code, /^\d{6}$/);
  writeFileSync(join(folder, 'code'), code);
  await page.reload();
  const { value: seals } = await run(page, (agent) => Promise.all([agent.seals(), agent.tokens(), agent.seals(), agent.seals()]));
  assert.deepEqual(seals.map((list) => list.length), [1, 1, 1, 1]);
  const { value: sealed } = await run(page, async (agent, sdk, { seal }) => {
    const file = await (await fetch('/sample.ofd')).blob();
    return (await agent.sealDocument(file, seal, { kind: 'none' }, { name: 'a.ofd' })).size;
  }, { seal });
  assert.ok(sealed > 1000);
  await close();
});

test('a paired page hears of its requests over a WebSocket', async () => {
  const { page, close } = await open(`${site('pair')}/empty.html`);
  await run(page, (agent) => agent.pair({ onCode: () => {} }));
  const { value: states } = await run(page, async (agent, sdk, { seal }) => {
    const aborter = new AbortController();
    const states = [];
    const listening = agent.listen((event) => {
      if (event.type !== 'signatureChanged') return;
      states.push(event.state);
      if (event.state === 'done') aborter.abort();
    }, { signal: aborter.signal });
    const file = await (await fetch('/sample.ofd')).blob();
    await agent.sealDocument(file, seal, { kind: 'none' }, { name: 'a.ofd' });
    await listening;
    return states;
  }, { seal });
  assert.equal(states.at(-1), 'done');
  await close();
});

test('a pairing that the person refuses is told', async () => {
  const { page, close } = await open(`${site('refuse')}/empty.html`);
  const refused = await run(page, (agent) => agent.pair({ onCode: () => {} }));
  assert.deepEqual([refused.error, refused.reason], ['OriginNotApproved', 'refused']);
  await close();
});

// Attack items 11 and 14: none of these needs a permission or a preflight.
test('what a page can do without the client reaches nothing', async () => {
  const { page, close } = await open(`${site('sign')}/empty.html`);
  const attempts = await page.evaluate(async (agent) => {
    const outcome = (promise) => promise.then(() => 'answered', () => 'refused');
    const loaded = (tag, attributes) => new Promise((resolve) => {
      const node = Object.assign(document.createElement(tag), attributes);
      node.onload = () => resolve('answered');
      node.onerror = () => resolve('refused');
      document.head.append(node);
    });
    const body = JSON.stringify({ items: [] });
    return Promise.all([
      outcome(fetch(`${agent}/v1/signatures`, { method: 'POST', body, headers: { 'Content-Type': 'text/plain' } }).then((a) => { if (a.status === 415) throw a; })),
      outcome(fetch(`${agent}/v1/seals`, { mode: 'no-cors' }).then((a) => { if (a.type === 'opaque') throw a; })),
      loaded('script', { src: `${agent}/v1/seals` }),
    ]);
  }, `http://127.0.0.1:${agentPort}`);
  assert.deepEqual(attempts, ['refused', 'refused', 'refused']);
  const navigated = await page.context().newPage();
  const answer = await navigated.goto(`http://127.0.0.1:${agentPort}/v1/seals`);
  assert.equal(answer.status(), 403);
  await close();
});

// Attack item 1.
test('a name that leads to the agent is misdirected', async () => {
  const { page, close } = await open(`${site('sign')}/empty.html`);
  const rebound = await page.context().newPage();
  const answer = await rebound.goto(`http://rebind.example:${agentPort}/v1/info`);
  assert.equal(answer.status(), 421);
  await close();
});

// A grant by the debugger goes past the frame's permission policy; a managed policy does not. It is put over the system's folder in a
// mount namespace of this browser's own.
const policies = '/etc/chromium/policies/managed';
const mayMount = existsSync(policies) && spawnSync('unshare', ['-m', 'true']).status === 0;

test('a frame of another site needs allow=, and a sandboxed one is nobody', { skip: mayMount ? false : `SKIPPED: needs root and ${policies}` }, async () => {
  const managed = mkdtempSync(join(folder, 'policy-'));
  const allowed = [site('portal'), site('sign')];
  writeFileSync(join(managed, 'test.json'), JSON.stringify({ LoopbackNetworkAllowedForUrls: allowed }));
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const wrapper = join(bin, 'chromium');
  writeFileSync(wrapper, `#!/bin/sh\nexec unshare -m sh -c 'mount --bind "$0" ${policies} && exec "$@"' '${managed}' '${executablePath}' "$@"\n`, { mode: 0o700 });
  const own = await chromium.launch({ executablePath: wrapper, args });
  try {
    const framed = async (name) => {
      const { page, close } = await open(`${site('portal')}/${name}.html`, 'policy', own);
      const frame = page.frames().find((candidate) => candidate !== page.mainFrame());
      await frame.waitForLoadState();
      const result = await run(frame, (agent) => agent.seals().then((seals) => seals.length));
      await close();
      return result;
    };
    assert.equal((await framed('frame-without')).error, 'BlockedByBrowser');
    assert.equal((await framed('frame-with')).value, 1);
    // Attack item 12.
    const sandboxed = await framed('frame-sandboxed');
    assert.ok(['NotRunning', 'BlockedByBrowser'].includes(sandboxed.error), JSON.stringify(sandboxed));
  } finally {
    await own.close();
  }
});

test('an agent that is stopped is lost, then not running', async () => {
  const { page, close } = await open(`${site('sign')}/empty.html`);
  await page.evaluate(`import('/sealagent.js').then(async ({ SealAgent }) => { window.agent = new SealAgent({ ports: [${agentPort}] }); await agent.seals(); })`);
  writeFileSync(join(folder, 'stop'), '');
  while (!existsSync(join(folder, 'stopped'))) await new Promise((resolve) => setTimeout(resolve, 50));
  const failed = () => page.evaluate('agent.seals().then(() => "answered", (error) => error.name)');
  assert.equal(await failed(), 'ConnectionLost');
  assert.equal(await failed(), 'NotRunning');
  await close();
});
