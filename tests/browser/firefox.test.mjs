// Firefox on public pages, as chromium.test.mjs has it, where the two differ in what they let through and in what they say.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { launch } from './firefox.mjs';
import { ask, serve, test } from './site.mjs';

const folder = process.env.BROWSER_TEST_FOLDER;
const agentPort = Number(process.env.BROWSER_TEST_AGENT_PORT);
const port = Number(process.env.BROWSER_TEST_SITE_PORT);
// Allowed by the pages' policy; nothing listens there.
const closedPort = Number(process.env.BROWSER_TEST_CLOSED_PORT);
const seal = process.env.BROWSER_TEST_SEAL;
const site = (name) => `https://${name}.example:${port}`;

let server;
let browser;

before(async () => {
  server = await serve({ port, agentPort, closedPort, folder, sample: readFileSync(join(folder, 'sample.ofd')) });
  browser = await launch({
    executablePath: process.env.BROWSER_TEST_PROGRAM,
    folder: join(folder, 'firefox'),
    preferences: {
      'network.dns.localDomains': ['sign', 'second', 'pair', 'refuse', 'portal', 'rebind'].map((name) => `${name}.example`).join(','),
      'network.lna.address_space.public.override': `127.0.0.1:${port}`,
      // Without a screen a question is never answered; this ends it.
      'network.lna.prompt.timeout': 1500,
      'datareporting.policy.dataSubmissionEnabled': false,
      'app.update.enabled': false,
      'intl.accept_languages': 'en-US',
    },
  });
});

after(async () => {
  await browser?.close();
  server?.close();
});

function run(page, body, { ports = [agentPort], ...rest } = {}) {
  return page.evaluate(`(async () => {
    const rest = ${JSON.stringify(rest)};
    const sdk = await import('/sealagent.js');
    const agent = new sdk.SealAgent({ ports: ${JSON.stringify(ports)} });
    try {
      return { value: await (${body})(agent, sdk, rest) };
    } catch (error) {
      return { error: error.name, code: error.code, reason: error.reason, state: error.state, message: error.message };
    }
  })()`);
}

test('denied pages reach nothing, and a question that nobody answers is dismissed', async () => {
  await browser.permit(site('sign'), 'denied');
  const page = await browser.open(`${site('sign')}/empty.html`);
  const denied = await run(page, (agent) => agent.connect());
  assert.deepEqual([denied.error, denied.reason], ['BlockedByBrowser', 'denied']);
  await browser.permit(site('sign'), 'prompt');
  const unanswered = await run(page, (agent) => agent.connect());
  assert.deepEqual([unanswered.error, unanswered.reason], ['BlockedByBrowser', 'dismissed']);
  await page.close();
});

test('the demo page seals and judges a document', async () => {
  await browser.permit(site('sign'), 'granted');
  const page = await browser.open(`${site('sign')}/`);
  const verdict = await page.evaluate(`(async () => {
    const shown = async (selector) => { for (;;) { const node = document.querySelector(selector); if (node) return node; await new Promise((r) => setTimeout(r, 50)); } };
    await shown('input[name=seal]:checked');
    document.querySelector('#go').click();
    return (await shown('#report .verdict')).textContent;
  })()`);
  assert.match(verdict, /^✔ (valid|有效)$/);
  await page.close();
});

test('calls at once share one first request', async () => {
  const page = await browser.open(`${site('sign')}/empty.html`);
  const { value } = await run(page, (agent) => Promise.all([agent.seals(), agent.tokens(), agent.seals()]).then((lists) => lists.map((list) => list.length)));
  assert.deepEqual(value, [1, 1, 1]);
  await page.close();
});

test('the page\'s own policy and a closed port are told apart', async () => {
  const page = await browser.open(`${site('sign')}/no-connect.html`);
  assert.equal((await run(page, (agent) => agent.connect())).error, 'BlockedByCsp');
  await page.close();
  const other = await browser.open(`${site('sign')}/empty.html`);
  assert.equal((await run(other, (agent) => agent.connect(), { ports: [closedPort] })).error, 'NotRunning');
  await other.close();
});

// Attack item 22.
test('a new site pairs by a code, and its key survives a reload', async () => {
  await browser.permit(site('pair'), 'granted');
  const page = await browser.open(`${site('pair')}/empty.html`);
  const { value: code } = await run(page, async (agent) => {
    let code;
    await agent.pair({ label: 'Test', onCode: (shown) => { code = shown; } });
    return code;
  });
  assert.match(code, /^\d{6}$/);
  writeFileSync(join(folder, 'code'), code);
  await browser.send('browsingContext.reload', { context: page.context, wait: 'complete' });
  const { value: sealed } = await run(page, async (agent, sdk, { seal }) => {
    const file = await (await fetch('/sample.ofd')).blob();
    return (await agent.sealDocument(file, seal, { kind: 'none' }, { name: 'a.ofd' })).size;
  }, { seal });
  assert.ok(sealed > 1000);
  await browser.permit(site('refuse'), 'granted');
  const refusing = await browser.open(`${site('refuse')}/empty.html`);
  assert.equal((await run(refusing, (agent) => agent.pair({ onCode: () => {} }))).reason, 'refused');
});

// Attack item 32.
test('a request that the page withdraws is cancelled', async () => {
  await browser.permit(site('second'), 'granted');
  const page = await browser.open(`${site('second')}/empty.html`);
  const cancelled = await run(page, async (agent, sdk, { seal }) => {
    const aborter = new AbortController();
    const file = await (await fetch('/sample.ofd')).blob();
    const onState = () => setTimeout(() => aborter.abort(), 300);
    return agent.sealDocument(file, seal, { kind: 'none' }, { name: 'silent.ofd', onState, signal: aborter.signal });
  }, { seal });
  assert.equal(cancelled.error, 'Cancelled');
  await page.close();
});

// Attack item 40.
test('a page hears that the UKey is pulled out and put back', async () => {
  const page = await browser.open(`${site('sign')}/empty.html`);
  await page.evaluate(`import('/sealagent.js').then(async ({ SealAgent }) => {
    window.events = [];
    window.agent = new SealAgent({ ports: [${agentPort}] });
    await agent.connect();
    agent.listen((event) => events.push(event.type)).catch(() => {});
    window.heard = async (type) => { while (!events.includes(type)) await new Promise((resolve) => setTimeout(resolve, 50)); };
    return (await agent.tokens()).length;
  })`);
  await ask(folder, 'unplug');
  await page.evaluate(`heard('tokenRemoved')`);
  assert.equal(await page.evaluate('agent.tokens().then((tokens) => tokens.length)'), 0);
  await ask(folder, 'plug');
  await page.evaluate(`heard('tokenAdded')`);
  assert.equal(await page.evaluate('agent.tokens().then((tokens) => tokens.length)'), 1);
  await page.close();
});

// The grant that counts is that of the page around the frame. Firefox does not know the older name of the permission.
test('a frame of another site needs allow=, and a sandboxed one is nobody', async () => {
  await browser.permit(site('portal'), 'granted');
  await browser.permit(site('sign'), 'prompt');
  const framed = async (name) => {
    const page = await browser.open(`${site('portal')}/${name}.html`);
    const { contexts } = await browser.send('browsingContext.getTree', { root: page.context });
    const result = await run(browser.frame(contexts[0].children[0].context), (agent) => agent.seals().then((seals) => seals.length));
    await page.close();
    return result;
  };
  assert.equal((await framed('frame-without')).error, 'BlockedByBrowser');
  assert.equal((await framed('frame-with')).value, 1);
  // Attack item 12.
  const sandboxed = await framed('frame-sandboxed');
  assert.ok(['NotRunning', 'BlockedByBrowser'].includes(sandboxed.error), JSON.stringify(sandboxed));
  await browser.permit(site('sign'), 'granted');
});

// Attack item 16: Firefox lets a WebSocket through without asking, so the agent's own look at the origin is all there is.
test('a WebSocket of a page that is not allowed is not taken', async () => {
  await browser.permit(site('portal'), 'denied');
  const page = await browser.open(`${site('portal')}/empty.html`);
  const outcome = await page.evaluate(`new Promise((resolve) => {
    const socket = new WebSocket('ws://127.0.0.1:${agentPort}/v1/events', 'sealagent.v1');
    socket.onopen = () => resolve('open');
    socket.onclose = (event) => resolve(event.code);
  })`);
  assert.equal(outcome, 1006);
  await page.close();
});

test('an agent that is stopped is lost, then not running', async () => {
  const page = await browser.open(`${site('sign')}/empty.html`);
  await page.evaluate(`import('/sealagent.js').then(async ({ SealAgent }) => { window.agent = new SealAgent({ ports: [${agentPort}] }); await agent.seals(); })`);
  await ask(folder, 'stop');
  const failed = () => page.evaluate('agent.seals().then(() => "answered", (error) => error.name)');
  assert.equal(await failed(), 'ConnectionLost');
  assert.equal(await failed(), 'NotRunning');
  await page.close();
});
