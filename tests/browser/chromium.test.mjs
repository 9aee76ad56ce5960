// Chromium on public pages, through the client and the demo page, to an agent whose person answers by the document's name. Started
// by tests/browsers.rs, which also judges what the agent saw. Numbers are those of the list of attacks.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { QUIET, ask, serve, test } from './site.mjs';

const folder = process.env.BROWSER_TEST_FOLDER;
const agentPort = Number(process.env.BROWSER_TEST_AGENT_PORT);
const port = Number(process.env.BROWSER_TEST_SITE_PORT);
const executablePath = process.env.BROWSER_TEST_PROGRAM;
const site = (name) => `https://${name}.example:${port}`;
// Allowed by the pages' policy; nothing listens there.
const closedPort = Number(process.env.BROWSER_TEST_CLOSED_PORT);
const seal = process.env.BROWSER_TEST_SEAL;

const args = [
  ...QUIET,
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

test('a port that takes calls and never answers is passed by, and named when there is no other', async () => {
  const { page, close } = await open(`${site('sign')}/empty.html`);
  assert.equal((await run(page, connect, { ports: [server.silentPort] })).error, 'TimedOut');
  assert.equal((await run(page, (agent) => agent.connect().then((info) => info.paired), { ports: [server.silentPort, agentPort] })).value, true);
  await close();
});

// Attack item 40.
test('a page hears that the UKey is pulled out and put back, and is told what is missing', async () => {
  const { page, close } = await open(`${site('third')}/empty.html`);
  await page.evaluate(`import('/sealagent.js').then(async ({ SealAgent }) => {
    window.events = [];
    window.agent = new SealAgent({ ports: [${agentPort}] });
    await agent.connect();
    agent.listen((event) => events.push(event.type)).catch(() => {});
    window.seal = async () => {
      const file = await (await fetch('/sample.ofd')).blob();
      return agent.sealDocument(file, '${seal}', { kind: 'none' }, { name: 'unplugged.ofd' }).then((sealed) => sealed.size > 1000, (error) => error.code);
    };
  })`);
  const heard = (type) => page.waitForFunction((type) => window.events.includes(type), type);
  assert.equal(await page.evaluate('agent.tokens().then((tokens) => tokens.length)'), 1);
  await ask(folder, 'unplug');
  await heard('tokenRemoved');
  assert.equal(await page.evaluate('seal()'), 'seal_not_found');
  await ask(folder, 'plug');
  await heard('tokenAdded');
  assert.equal(await page.evaluate('seal()'), true);
  await close();
});

// Six HTTP streams would stall every further call of the site.
test('seven streams of one site leave room for its calls', async () => {
  const { page, close } = await open(`${site('sign')}/empty.html`);
  const { value } = await run(page, async (agent) => {
    await agent.connect();
    for (let n = 0; n < 7; n += 1) agent.listen(() => {}).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 500));
    return (await Promise.all([agent.seals(), agent.tokens()])).map((list) => list.length);
  });
  assert.deepEqual(value, [1, 1]);
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
  // A form needs neither permission nor preflight.
  const [posted] = await Promise.all([
    page.waitForNavigation(),
    page.evaluate((agent) => {
      const form = Object.assign(document.createElement('form'), { method: 'POST', action: `${agent}/v1/signatures`, enctype: 'text/plain' });
      form.append(Object.assign(document.createElement('input'), { name: '{"items":[], "x":"', value: '"}' }));
      document.body.append(form);
      form.submit();
    }, `http://127.0.0.1:${agentPort}`),
  ]);
  assert.equal(posted.status(), 403);
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
const policies = '/etc/chromium';
const mayMount = existsSync(policies) && spawnSync('unshare', ['-m', 'true']).status === 0;

test('a frame of another site needs allow=, and a sandboxed one is nobody', { skip: mayMount ? false : `SKIPPED: needs root and ${policies}` }, async () => {
  const settings = mkdtempSync(join(folder, 'etc-'));
  const managed = join(settings, 'policies', 'managed');
  mkdirSync(managed, { recursive: true });
  const allowed = [site('portal'), site('sign')];
  writeFileSync(join(managed, 'test.json'), JSON.stringify({ LoopbackNetworkAllowedForUrls: allowed }));
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const wrapper = join(bin, 'chromium');
  writeFileSync(wrapper, `#!/bin/sh\nexec unshare -m sh -c 'mount --bind "$0" ${policies} && exec "$@"' '${settings}' '${executablePath}' "$@"\n`, { mode: 0o700 });
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

// The question itself, on a screen, answered with keys: F6 goes to it, Tab to Allow. The agent must have kept the connection on which the
// browser waited all that time.
const hasScreen = ['Xvfb', 'xdotool'].every((program) => spawnSync(program, ['-help']).error === undefined);

test('the browser asks the person, and Allow after half a minute still counts', { skip: hasScreen ? false : 'SKIPPED: needs Xvfb and xdotool' }, async () => {
  const screen = spawn('Xvfb', ['-displayfd', '1', '-screen', '0', '1024x768x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const number = await new Promise((resolve) => screen.stdout.once('data', (text) => resolve(String(text).trim())));
  const env = { ...process.env, DISPLAY: `:${number}` };
  const own = await chromium.launch({ executablePath, args, env, headless: false });
  try {
    const { page, close } = await open(`${site('sign')}/empty.html`, 'asked', own);
    const result = run(page, async (agent) => {
      let told = 0;
      const { paired } = await agent.connect({ onPermission: () => { told += 1; } });
      return { paired, told };
    });
    const state = () => page.evaluate("navigator.permissions.query({ name: 'loopback-network' }).then(({ state }) => state)");
    await new Promise((resolve) => setTimeout(resolve, 32_000));
    assert.equal(await state(), 'prompt');
    for (let tries = 0; tries < 10 && (await state()) === 'prompt'; tries += 1) {
      spawnSync('xdotool', ['key', '--delay', '150', 'F6', 'Tab', 'Return'], { env });
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
    assert.equal(await state(), 'granted');
    assert.deepEqual(await result, { value: { paired: true, told: 1 } });
    await close();
  } finally {
    await own.close();
    screen.kill();
  }
});

test('an agent that is stopped is lost, then not running', async () => {
  const { page, close } = await open(`${site('sign')}/empty.html`);
  await page.evaluate(`import('/sealagent.js').then(async ({ SealAgent }) => { window.agent = new SealAgent({ ports: [${agentPort}] }); await agent.seals(); })`);
  await ask(folder, 'stop');
  const failed = () => page.evaluate('agent.seals().then(() => "answered", (error) => error.name)');
  assert.equal(await failed(), 'ConnectionLost');
  assert.equal(await failed(), 'NotRunning');
  await close();
});
